"""Rejected commands and connects of one client: how many are tolerated (docs/wire.md, "Limits")."""

import asyncio
import json
import logging

import pytest

from socketio_app.adapters.socketio.session import MAX_IGNORED_PACKETS, MAX_REJECTED_CONNECTS
from socketio_app.application.refusal_limit import BYTES_PER_REFUSAL
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import Rejected, settled
from tests.e2e.engine_io.shared import until_empty
from tests.e2e.frame_client import FrameClient, FrameSocket, Transport
from tests.e2e.limited_chat import Serve, open_client, serve, transport
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

__all__ = ["serve", "transport"]  # fixtures

pytestmark = pytest.mark.anyio

GOODBYE = "41"


class TestRejections:
    async def test_client_that_exceeds_refusal_limit_is_disconnected(
        self, serve: Serve, transport: Transport, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        async with serve(rate_refusals_per_connection=5, rate_burst_seconds=2) as (_, url):
            ada = await open_client(url, "ada", "websocket")
            mallory = await FrameClient.open(url, transport)
            await mallory.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')

            await mallory.send_until(
                [mallory.command('["nonsense",{}]') for _ in range(50)], GOODBYE
            )

            assert mallory.received.count(GOODBYE) == 1
            # One more is tolerated every fifth of a second.
            assert sum(packet.startswith("43") for packet in mallory.received) in range(11, 40)
            await mallory.release()
            await settled(ada)
            await ada.close()
        lines = [vars(line) for line in caplog.records if vars(line).get("user") == "mallory"]
        assert [line.get("reason") for line in lines] == [None, "too_many_refusals"]

    @pytest.mark.parametrize("packet", ["43[]", "461-[]", "3"])
    async def test_packets_without_command_count_as_rejections(
        self, serve: Serve, transport: Transport, packet: str
    ) -> None:
        async with serve(rate_refusals_per_connection=5, rate_burst_seconds=2) as (_, url):
            mallory = await FrameClient.open(url, transport)
            await mallory.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')

            await mallory.send_until([packet] * 50, GOODBYE)

            assert mallory.received.count(GOODBYE) == 1
            await mallory.release()

    async def test_control_frames_count_as_rejections(self) -> None:
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

    async def test_large_packet_counts_as_several_rejections(self, serve: Serve) -> None:
        async with serve(rate_refusals_per_connection=6, rate_burst_seconds=2) as (_, url):
            mallory = await FrameClient.open(url, "websocket")
            await mallory.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')
            large = '["nonsense","' + "x" * 4 * BYTES_PER_REFUSAL + '"]'

            await mallory.send_until([mallory.command(large[:65_000] + '"]')] * 20, GOODBYE)

            answers = sum(packet.startswith("43") for packet in mallory.received)
            assert answers in range(3, 10)
            await mallory.release()

    async def test_rejections_within_rate_are_tolerated(self, serve: Serve) -> None:
        async with serve(rate_refusals_per_connection=5, rate_burst_seconds=2) as (_, url):
            ada = await open_client(url, "ada", "websocket")
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
            rejected = next(answer["error"] for answer in answers if not answer["ok"])
            assert rejected["code"] == "rate_limited"
            assert 0 < rejected["retry_after_ms"] <= 100
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
            rejected = json.loads(mallory.received[-1][2:])["data"]
            assert rejected["code"] == "rate_limited"
            assert rejected["retry_after_ms"] in range(1, 1001)
            await mallory.send_until([self.CONNECT] * (2 * MAX_REJECTED_CONNECTS), "<end>")
            assert mallory.is_at_end
            await mallory.release()

    async def test_connects_of_user_share_rate(self, serve: Serve) -> None:
        async with serve(rate_connect_per_user=1, rate_burst_seconds=2) as (_, url):
            asked = [open_client(url, "ada", "websocket") for _ in range(10)]
            answers = await asyncio.gather(*asked, return_exceptions=True)

            rejections = [each for each in answers if isinstance(each, Rejected)]
            clients = [each for each in answers if not isinstance(each, BaseException)]
            assert {each.data["code"] for each in rejections} == {"rate_limited"}
            assert len(clients) >= 2
            assert len(clients) + len(rejections) == 10
            clients.append(await open_client(url, "bob", "websocket"))
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
            rejections = [each for each in mallory.received if each.startswith("44{")]
            codes = [json.loads(each[2:])["data"]["code"] for each in rejections]
            await mallory.release()

        assert codes[:3] == ["unauthenticated"] * 3
        assert codes[-1] == "rate_limited"
        assert len(verified) == codes.count("unauthenticated")

    async def test_clients_of_one_address_can_reconnect_together(self, serve: Serve) -> None:
        """Official clients do not retry a rejected CONNECT, so only handshakes are limited."""
        async with serve(rate_connect_per_address=1, rate_burst_seconds=1) as (composition, url):
            clients = [await open_client(url, f"user {number}", "websocket") for number in range(5)]

            assert composition.chat.connection_count == 5
            for client in clients:
                await client.close()

    async def test_connect_rejected_after_disconnect_has_error_code(self, serve: Serve) -> None:
        async with serve() as (_, url):
            client = await FrameClient.open(url, "websocket")

            await client.send_until([self.CONNECT, "41", '40{"token":"nonsense"}'], "44")

            assert json.loads(client.received[-1][2:])["data"]["code"] == "unauthenticated"
            await client.release()
