"""The rules of the Socket.IO protocol, version 5; a class for each section."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.engine_io.shared import until_empty
from tests.e2e.frame_client import FrameClient, Transport
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

CONNECT = '40{"token":"%s"}' % token("ada")
JOIN = '["join_room",{"room_id":"lobby"}]'

Opened = Callable[[], Awaitable[FrameClient]]
"""Opens an Engine.IO session without connecting to a namespace."""


@pytest.fixture
def composition() -> Composition:
    return compose(Settings(secret_key=SECRET, rate_limits=False, connect_timeout_seconds=1))


@pytest.fixture(params=["polling", "websocket"])
def transport(request: pytest.FixtureRequest) -> Transport:
    found: Transport = request.param
    return found


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"])
async def opened(
    request: pytest.FixtureRequest, composition: Composition, transport: Transport
) -> AsyncIterator[Opened]:
    clients: list[FrameClient] = []

    async def open_session() -> FrameClient:
        clients.append(await FrameClient.open(url, transport))
        return clients[-1]

    async with serving(application(composition), request.param) as url:
        yield open_session
        for client in clients:
            await client.release()


async def is_ended(client: FrameClient, packets: list[str | bytes]) -> bool:
    """Send packets; return whether they end the session."""
    await client.send_until(packets, "never")
    return client.is_at_end


class TestConnectionToANamespace:
    async def test_accepted_connect_returns_session_id(self, opened: Opened) -> None:
        client = await opened()

        await client.send_until([CONNECT], "40")

        answer = next(packet for packet in client.received if packet.startswith("40"))
        assert list(json.loads(answer[2:])) == ["sid"]

    async def test_rejected_connect_returns_reason(self, opened: Opened) -> None:
        client = await opened()

        await client.send_until(["40"], "44")

        assert set(json.loads(client.received[-1][2:])) == {"message", "data"}

    async def test_unknown_namespace_is_rejected(self, opened: Opened) -> None:
        client = await opened()

        await client.send_until(['40/admin,{"token":"x"}'], "44")

        assert client.received[-1] == '44/admin,{"message":"Invalid namespace"}'
        await client.send_until([CONNECT], "42")

    @pytest.mark.parametrize(
        "packet", ["421" + JOIN, "41", '431["ok"]', '451-["x",{"_placeholder":true,"num":0}]']
    )
    async def test_other_packet_before_connect_closes_connection(
        self,
        opened: Opened,
        composition: Composition,
        packet: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.INFO)

        assert await is_ended(await opened(), [packet])

        await until_empty(composition)
        lines = [line.message for line in caplog.records if "closed" in line.message]
        assert lines == ["connection closed: packet before CONNECT"]

    async def test_second_connect_closes_connection(self, opened: Opened) -> None:
        assert await is_ended(await opened(), [CONNECT, CONNECT])


class TestSendingAndReceivingData:
    @pytest.mark.parametrize("payload", ["", "{}", "[]", '"join_room"', "null", "[null]", "[{}]"])
    async def test_payload_that_is_not_array_with_name_closes_connection(
        self, opened: Opened, composition: Composition, payload: str
    ) -> None:
        assert await is_ended(await opened(), [CONNECT, "42" + payload])

        await until_empty(composition)

    async def test_event_to_unconnected_namespace_closes_connection(self, opened: Opened) -> None:
        assert await is_ended(await opened(), [CONNECT, "42/admin," + JOIN])

    async def test_announced_binary_content_is_rejected_as_payload(self, opened: Opened) -> None:
        client = await opened()
        event = '452-7["join_room",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'

        await client.send_until([CONNECT, event, b"one", b"two"], "437")

        assert json.loads(client.received[-1][3:])[0]["error"]["code"] == "invalid_payload"

    @pytest.mark.parametrize(
        "packets",
        [
            [b"unannounced"],
            ['4517-["x",{"_placeholder":true,"num":0}]'],
            ['45999999999-["x",{"_placeholder":true,"num":0}]'],
            ['450-["x"]'],
            ['451-["x",{"_placeholder":true,"num":0}]', "421" + JOIN],
        ],
        ids=["unannounced", "many", "very many", "none", "something else instead"],
    )
    async def test_unannounced_binary_content_closes_connection(
        self, opened: Opened, composition: Composition, packets: list[str | bytes]
    ) -> None:
        assert await is_ended(await opened(), [CONNECT, *packets])

        await until_empty(composition)


class TestAcknowledgement:
    @pytest.mark.parametrize("ack", ["0", "12", "999999999999"])
    async def test_event_with_id_is_acknowledged_with_array(self, opened: Opened, ack: str) -> None:
        client = await opened()

        await client.send_until([CONNECT, f"42{ack}{JOIN}"], f"43{ack}[")

        assert isinstance(json.loads(client.received[-1][2 + len(ack) :]), list)

    async def test_event_without_id_is_not_acknowledged(self, opened: Opened) -> None:
        client = await opened()

        await client.send_until([CONNECT, "42" + JOIN, "421" + JOIN], "431[")

        assert sum(packet.startswith("43") for packet in client.received) == 1

    async def test_unexpected_acknowledgements_are_ignored(self, opened: Opened) -> None:
        client = await opened()

        await client.send_until([CONNECT, '437["ok"]', "43[]", "421" + JOIN], "431[")


class TestDisconnectionFromANamespace:
    async def test_client_can_connect_again_after_disconnect_packet(
        self, opened: Opened, composition: Composition
    ) -> None:
        client = await opened()
        await client.send_until([CONNECT], '42["connected"')
        before = len(client.received)

        await client.send_until(["41", CONNECT], "40")
        while sum(packet.startswith("40{") for packet in client.received) < 2:
            await client._read()

        assert client.received[before].startswith("40{")
        assert composition.chat.connection_count == 1

    async def test_session_times_out_after_disconnect_packet(
        self, opened: Opened, composition: Composition
    ) -> None:
        client = await opened()
        await client.send_until([CONNECT], '42["connected"')

        assert await is_ended(client, ["41"])

        await until_empty(composition)
