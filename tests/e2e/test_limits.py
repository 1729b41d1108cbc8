"""What one client may do, and how often; and how long it may stay (docs/wire.md, "Limits")."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from socketio_app.adapters.socketio.session import MAX_IGNORED_PACKETS, MAX_REFUSED_CONNECTS
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.application.refusal_limit import BYTES_PER_REFUSAL
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient, Refused, settled, until
from tests.e2e.frame_client import FrameClient, FrameSocket, Transport
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving
from tests.e2e.test_engine_io import until_empty
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

HANDSHAKE = "/socket.io/?EIO=4&transport="
GOODBYE = "41"

Serve = Callable[..., AbstractAsyncContextManager[tuple[Composition, str]]]


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"])
def serve(request: pytest.FixtureRequest) -> Serve:
    """Serves a chat of some settings."""

    @asynccontextmanager
    async def serve_chat(**settings: Any) -> AsyncIterator[tuple[Composition, str]]:
        composition = compose(Settings(secret_key=SECRET, **settings))
        async with serving(application(composition), request.param) as url:
            yield composition, url

    return serve_chat


@pytest.fixture(params=["polling", "websocket"])
def transport(request: pytest.FixtureRequest) -> Transport:
    found: Transport = request.param
    return found


async def opened(url: str, user_id: str, transport: Transport, **claims: Any) -> PythonClient:
    auth = {"token": token(user_id, **claims)}
    return await PythonClient().open(url, transport, {"auth": auth})


async def ended(client: PythonClient) -> str:
    """Wait for the end of a connection; what the client makes of it."""
    reason = str(await until(client, ":disconnect"))
    await client.close()
    return reason


class TestRefusals:
    async def test_client_that_exceeds_refusal_limit_is_disconnected(
        self, serve: Serve, transport: Transport, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        async with serve(rate_refusals_per_connection=5, rate_burst_seconds=2) as (_, url):
            ada = await opened(url, "ada", "websocket")
            mallory = await FrameClient.open(url, transport)
            await mallory.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')

            await mallory.send_until(
                [mallory.command('["nonsense",{}]') for _ in range(50)], GOODBYE
            )

            assert mallory.received.count(GOODBYE) == 1
            # As time passes, one more in each fifth of a second.
            assert sum(packet.startswith("43") for packet in mallory.received) in range(11, 40)
            await mallory.release()
            await settled(ada)
            await ada.close()
        lines = [vars(line) for line in caplog.records if vars(line).get("user") == "mallory"]
        assert [line.get("reason") for line in lines] == [None, "too_many_refusals"]

    @pytest.mark.parametrize("packet", ["43[]", "461-[]", "3"])
    async def test_packets_without_command_count_as_refusals(
        self, serve: Serve, transport: Transport, packet: str
    ) -> None:
        async with serve(rate_refusals_per_connection=5, rate_burst_seconds=2) as (_, url):
            mallory = await FrameClient.open(url, transport)
            await mallory.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')

            await mallory.send_until([packet] * 50, GOODBYE)

            assert mallory.received.count(GOODBYE) == 1
            await mallory.release()

    async def test_control_frames_count_as_refusals(self) -> None:
        settings = Settings(secret_key=SECRET, rate_refusals_per_connection=5, rate_burst_seconds=2)
        async with serving(application(compose(settings))) as url:
            mallory = await FrameClient.open(url, "websocket")
            await mallory.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')

            for _ in range(50):
                mallory.ping()
            await mallory.send_until([], GOODBYE)

            assert mallory.received.count(GOODBYE) == 1
            await mallory.release()

    @pytest.mark.parametrize("step", ["before it has connected", "during an upgrade"])
    async def test_control_frames_close_unconnected_websocket(self, step: str) -> None:
        async with serving(application(compose(Settings(secret_key=SECRET)))) as url:
            transport: Transport = "polling" if step == "during an upgrade" else "websocket"
            mallory = await FrameClient.open(url, transport)
            websocket = mallory.websocket or await FrameSocket.open(
                mallory.url.replace("polling", "websocket"), has_small_buffer=False
            )

            for _ in range(2 * MAX_IGNORED_PACKETS):
                websocket.ping()
            while not websocket.is_at_end:
                await websocket.read()

            await mallory.release()

    async def test_large_packet_counts_as_several_refusals(self, serve: Serve) -> None:
        async with serve(rate_refusals_per_connection=6, rate_burst_seconds=2) as (_, url):
            mallory = await FrameClient.open(url, "websocket")
            await mallory.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')
            large = '["nonsense","' + "x" * 4 * BYTES_PER_REFUSAL + '"]'

            await mallory.send_until([mallory.command(large[:65_000] + '"]')] * 20, GOODBYE)

            answers = sum(packet.startswith("43") for packet in mallory.received)
            assert answers in range(3, 10)
            await mallory.release()

    async def test_refusals_within_rate_are_tolerated(self, serve: Serve) -> None:
        async with serve(rate_refusals_per_connection=5, rate_burst_seconds=2) as (_, url):
            ada = await opened(url, "ada", "websocket")
            for _ in range(10):
                await ada.call("nonsense", {})

            answer = await ada.call("join_room", {"room_id": "lobby"})

            assert answer["ok"]
            await ada.close()

    async def test_flooding_client_is_rate_limited_and_then_disconnected(
        self, serve: Serve
    ) -> None:
        async with serve() as (composition, url):
            mallory = await FrameClient.open(url, "websocket")
            await mallory.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')
            post = '["send_personal_message",{"to_user_id":"bob","content":"buy"}]'

            await mallory.send_until([mallory.command(post) for _ in range(2000)], GOODBYE)

            answers = [json.loads(p[p.index("[") :])[0] for p in mallory.received if p[:2] == "43"]
            assert sum(answer["ok"] for answer in answers) in range(100, 200)
            refused = next(answer["error"] for answer in answers if not answer["ok"])
            assert refused["code"] == "rate_limited"
            assert 0 < refused["retry_after_ms"] <= 100
            await mallory.release()
            await until_empty(composition)


class TestConnects:
    CONNECT = '40{"token":"%s"}' % token("mallory")

    async def test_repeated_connects_of_connection_are_rate_limited_and_then_close_it(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(rate_connect_per_connection=1, rate_burst_seconds=2) as (_, url):
            mallory = await FrameClient.open(url, transport)

            await mallory.send_until([self.CONNECT, "41"] * 2 + [self.CONNECT], "44")

            assert sum(packet.startswith("40") for packet in mallory.received) == 2
            refused = json.loads(mallory.received[-1][2:])["data"]
            assert refused["code"] == "rate_limited"
            assert refused["retry_after_ms"] in range(1, 1001)
            await mallory.send_until([self.CONNECT] * (2 * MAX_REFUSED_CONNECTS), "<end>")
            assert mallory.is_at_end
            await mallory.release()

    async def test_connects_of_user_share_rate(self, serve: Serve) -> None:
        async with serve(rate_connect_per_user=1, rate_burst_seconds=2) as (_, url):
            asked = [opened(url, "ada", "websocket") for _ in range(10)]
            answers = await asyncio.gather(*asked, return_exceptions=True)

            refusals = [each for each in answers if isinstance(each, Refused)]
            clients = [each for each in answers if not isinstance(each, BaseException)]
            assert {each.data["code"] for each in refusals} == {"rate_limited"}
            assert len(clients) >= 2
            assert len(clients) + len(refusals) == 10
            clients.append(await opened(url, "bob", "websocket"))
            for client in clients:
                await client.close()

    async def test_connects_above_address_rate_are_rejected_without_verifying_tokens(
        self,
    ) -> None:
        verified: list[str] = []

        def verify(given: str) -> None:
            verified.append(given)

        settings = Settings(
            rate_connect_per_address=1, rate_connect_per_connection=0, rate_burst_seconds=2
        )
        composition = compose(settings, verify_token=verify)
        async with serving(application(composition)) as url:
            mallory = await FrameClient.open(url, "websocket")
            await mallory.send_until([*[self.CONNECT] * 8, "40/other,"], "44/other,")
            refusals = [each for each in mallory.received if each.startswith("44{")]
            codes = [json.loads(each[2:])["data"]["code"] for each in refusals]
            await mallory.release()

        assert codes[:3] == ["unauthenticated"] * 3
        assert codes[-1] == "rate_limited"
        assert len(verified) == codes.count("unauthenticated")

    async def test_clients_of_one_address_can_reconnect_together(self, serve: Serve) -> None:
        """Official clients do not try again after a refused CONNECT; handshakes are limited."""
        async with serve(rate_connect_per_address=1, rate_burst_seconds=1) as (composition, url):
            clients = [await opened(url, f"user {number}", "websocket") for number in range(5)]

            assert composition.chat.connection_count == 5
            for client in clients:
                await client.close()

    async def test_connect_rejected_after_disconnect_has_error_code(self, serve: Serve) -> None:
        async with serve() as (_, url):
            client = await FrameClient.open(url, "websocket")

            await client.send_until([self.CONNECT, "41", '40{"token":"nonsense"}'], "44")

            assert json.loads(client.received[-1][2:])["data"]["code"] == "unauthenticated"
            await client.release()


class TestConnections:
    async def test_number_of_connections_per_user_is_limited(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(connections_per_user=2) as (composition, url):
            devices = [await opened(url, "ada", transport) for _ in range(2)]

            with pytest.raises(Refused) as refused:
                await opened(url, "ada", transport)

            assert refused.value.data["code"] == "too_many_connections"
            bob = await opened(url, "bob", transport)
            for client in (*devices, bob):
                await client.close()
            await until_empty(composition)
            await (await opened(url, "ada", transport)).close()

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
            for client in [await opened(url, "ada", "websocket") for _ in range(3)]:
                await client.close()


async def handshake(url: str, transport: Transport, headers: dict[str, str] | None = None) -> int:
    """The status that a handshake is answered with; 200 for a WebSocket that is open."""
    async with aiohttp.ClientSession(url, headers=headers) as http:
        if transport == "polling":
            async with http.get(HANDSHAKE + "polling") as answer:
                return answer.status
        try:
            async with http.ws_connect(HANDSHAKE + "websocket"):
                return 200
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status


class TestBeingLetIn:
    async def test_session_without_connect_times_out(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(connect_timeout_seconds=1) as (composition, url):
            ada = await opened(url, "ada", transport)
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

                assert sum(told.startswith("44") for told in stranger.received) == 11
                await stranger.release()
            await until_empty(composition)


class TestTokens:
    async def test_connection_is_warned_and_closed_when_token_expires(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(jwt_leeway_seconds=0) as (composition, url):
            ends = int(time.time()) + 5
            ada = await opened(url, "ada", transport, exp=ends)

            connected = await until(ada, "connected")
            expiring = await until(ada, "token_expiring")
            await ended(ada)

            assert expiring["token_expires_at"] == connected["token_expires_at"]
            assert 0 < expiring["expires_in_ms"] <= 5000
            assert time.time() >= ends
            await until_empty(composition)

    async def test_refreshed_token_extends_connection(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(jwt_leeway_seconds=0) as (_, url):
            ends = int(time.time()) + 5
            ada = await opened(url, "ada", transport, exp=ends)

            answer = await ada.call("refresh_token", {"token": token("ada", exp=ends + 1)})
            await ended(ada)

            assert answer["ok"]
            assert answer["token_expires_at"] > (await until(ada, "connected"))["token_expires_at"]
            assert time.time() >= ends + 1

    async def test_refresh_with_token_of_another_user_is_rejected(self, serve: Serve) -> None:
        async with serve() as (_, url):
            ada = await opened(url, "ada", "websocket")

            answer = await ada.call("refresh_token", {"token": token("bob")})

            assert answer["error"]["code"] == "unauthenticated"
            await ada.close()

    async def test_verify_token_can_use_timeouts_on_refresh(self) -> None:
        async def check(given: str) -> str:
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
            return given

        composition = compose(Settings(), verify_token=check)
        async with serving(application(composition)) as url:
            ada = await PythonClient().open(url, "websocket", {"auth": {"token": "ada"}})

            answer = await ada.call("refresh_token", {"token": "ada"})

            assert answer == {"ok": True, "token_expires_at": None}
            await ada.close()


class TestRevocation:
    async def test_host_can_disconnect_all_connections_of_user(self, serve: Serve) -> None:
        async with serve() as (composition, url):
            websocket = await opened(url, "ada", "websocket")
            polling = await opened(url, "ada", "polling")
            bob = await opened(url, "bob", "websocket")

            composition.chat.disconnect_user("ada")

            # Not what a client makes of a network that fails: it is not to come back by itself.
            assert await ended(websocket) == "server disconnect"
            assert await ended(polling) == "server disconnect"
            await settled(bob)
            await bob.close()
            await until_empty(composition)

    async def test_disconnected_user_gets_no_more_messages(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve() as (composition, url):
            ada = await opened(url, "ada", transport)
            bob = await opened(url, "bob", "websocket")
            for member in (ada, bob):
                await member.call("join_room", {"room_id": "lobby"})

            composition.chat.disconnect_user("ada")
            await bob.call("send_group_message", {"room_id": "lobby", "content": "is she gone?"})
            await ended(ada)

            assert ada.inbox.of("receive_group_message") == []
            await bob.close()


class TestSlowReaders:
    async def test_slow_reader_misses_typing_events_only(self, serve: Serve) -> None:
        """Polls come when the client likes: so what waits for it is known."""
        async with serve(rate_limits="off", typing_unread_bytes=10_000, metrics_port=9000) as (
            composition,
            url,
        ):
            bob = await opened(url, "bob", "websocket")
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

            told = [json.loads(p[2:])[1]["is_typing"] for p in packets if p[:10] == '42["typing']
            assert told[:3] == [True, False, True]
            metrics = composition.server.context.metrics
            assert metrics is not None
            assert metrics.frames_dropped == 11 - len(told) > 0
            await bob.close()
