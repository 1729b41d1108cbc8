"""Connections and handshakes per user and address; connect time-outs (docs/wire.md, "Limits")."""

import asyncio
import json

import aiohttp
import pytest

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import Rejected, settled
from tests.e2e.engine_io.shared import until_empty
from tests.e2e.frame_client import FrameClient, Transport
from tests.e2e.limited_chat import Serve, open_client, serve, transport
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

__all__ = ["serve", "transport"]  # fixtures

pytestmark = pytest.mark.anyio

HANDSHAKE = "/socket.io/?EIO=4&transport="


class TestConnections:
    async def test_number_of_connections_per_user_is_limited(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(connections_per_user=2) as (composition, url):
            devices = [await open_client(url, "ada", transport) for _ in range(2)]

            with pytest.raises(Rejected) as rejected:
                await open_client(url, "ada", transport)

            assert rejected.value.data["code"] == "too_many_connections"
            bob = await open_client(url, "bob", transport)
            for client in (*devices, bob):
                await client.close()
            await until_empty(composition)
            await (await open_client(url, "ada", transport)).close()

    async def test_handshakes_per_address_are_rate_limited(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(handshakes_per_address=1, rate_burst_seconds=3) as (_, url):
            statuses = await asyncio.gather(*[handshake(url, transport) for _ in range(20)])

        assert statuses.count(200) >= 3
        assert set(statuses) == {200, 429}

    async def test_address_behind_proxy_is_the_clients(self) -> None:
        settings = Settings(secret_key=SECRET, handshakes_per_address=1, rate_burst_seconds=1)
        app = application(compose(settings))
        async with serving(app, forwarded_allow_ips="127.0.0.1") as url:
            of_one, of_another = await asyncio.gather(
                asyncio.gather(
                    *[
                        handshake(url, "polling", {"X-Forwarded-For": "192.0.2.1"})
                        for _ in range(20)
                    ]
                ),
                handshake(url, "polling", {"X-Forwarded-For": "192.0.2.2"}),
            )

        assert set(of_one) == {200, 429}
        assert of_another == 200

    async def test_rate_limits_can_be_disabled(self, serve: Serve) -> None:
        limits = {"connections_per_user": 1, "handshakes_per_address": 1, "rate_burst_seconds": 1}
        async with serve(rate_limits="off", **limits) as (_, url):
            for client in [await open_client(url, "ada", "websocket") for _ in range(3)]:
                await client.close()


async def handshake(url: str, transport: Transport, headers: dict[str, str] | None = None) -> int:
    """Return the status of a handshake's response; 200 for an open WebSocket."""
    async with aiohttp.ClientSession(url, headers=headers) as http:
        if transport == "polling":
            async with http.get(HANDSHAKE + "polling") as answer:
                return answer.status
        try:
            async with http.ws_connect(HANDSHAKE + "websocket"):
                return 200
        except aiohttp.WSServerHandshakeError as rejected:
            return rejected.status


class TestConnectTimeout:
    async def test_session_without_connect_times_out(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(connect_timeout_seconds=1) as (composition, url):
            ada = await open_client(url, "ada", transport)
            silent = await FrameClient.open(url, transport)

            while not silent.is_at_end:
                await silent._read()

            await settled(ada)
            await ada.close()
            await silent.release()
            await until_empty(composition)

    async def test_session_with_rejected_connect_times_out(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(connect_timeout_seconds=1) as (composition, url):
            stranger = await FrameClient.open(url, transport)
            await stranger.send_until(['40{"token":"nonsense"}'], "44{")

            while not stranger.is_at_end:
                await stranger._read()

            await stranger.release()
            await until_empty(composition)

    async def test_session_is_closed_after_too_many_rejected_connects(self, serve: Serve) -> None:
        async with serve(rate_limits="off") as (composition, url):
            for packet in ('40{"token":"nonsense"}', "40/admin,"):
                stranger = await FrameClient.open(url, "websocket")
                await stranger.send_until([packet] * 50, "never")

                assert sum(packet.startswith("44") for packet in stranger.received) == 11
                await stranger.release()
            await until_empty(composition)


class TestSlowReaders:
    async def test_slow_reader_misses_typing_events_only(self, serve: Serve) -> None:
        """A polling client decides when it reads, so what is unread is known."""
        async with serve(rate_limits="off", typing_unread_bytes=10_000, metrics_port=9000) as (
            composition,
            url,
        ):
            bob = await open_client(url, "bob", "websocket")
            await bob.call("join_room", {"room_id": "lobby"})
            typing = {"room_id": "lobby"}
            async with raw_polling(url) as ada:
                await ada.post(
                    '40{"token":"%s"}' % token("ada"), '420["join_room",{"room_id":"lobby"}]'
                )
                await bob.call("typing_start", typing)
                for _ in range(5):
                    await bob.call("send_group_message", {**typing, "content": "x" * 4000})
                    await bob.call("typing_start", typing)

                packets: list[str] = []
                while sum("receive_group_message" in packet for packet in packets) < 5:
                    packets += await ada.get()

            typing_states = [
                json.loads(p[2:])[1]["is_typing"] for p in packets if p[:10] == '42["typing'
            ]
            assert typing_states[:3] == [True, False, True]
            metrics = composition.server.context.metrics
            assert metrics is not None
            assert metrics.frames_dropped == 11 - len(typing_states) > 0
            await bob.close()
