"""How polling sessions end: what a client can still fetch, and for how long."""

import asyncio

import pytest
from websockets.frames import Opcode

from socketio_app.adapters.websocket.close_reasons import EXPIRED
from socketio_app.domain.identifiers import UserId
from socketio_app.entrypoints.composition import Composition
from tests.e2e.engine_io.shared import CONNECT, ON_EACH_LOOP, until_empty
from tests.e2e.engine_io.test_closing import BOB, send_messages_from
from tests.e2e.raw_client import RawPolling, raw_polling
from tests.e2e.raw_frames import OPEN, RawFrames, close_code
from tests.e2e.sessions import only_session

pytestmark = [pytest.mark.anyio, ON_EACH_LOOP]


@pytest.mark.parametrize("ending", ["ban", "restart"])
async def test_client_between_polls_can_fetch_unread_messages_of_closed_session(
    url: str, composition: Composition, ending: str
) -> None:
    async with raw_polling(url) as polling:
        await polling.post(CONNECT, '421["join_room",{"room_id":"lobby"}]')
        await send_messages_from(BOB, composition, 40)

        retired = None
        if ending == "ban":
            composition.chat.disconnect_user(UserId("mallory"))
        else:
            retired = asyncio.create_task(composition.drain(0))
        await until_empty(composition)
        assert await polling.post("3") == 200
        packets = await fetch_all(polling)

        assert sum("receive_group_message" in packet for packet in packets) == 40
        assert any(packet.startswith("431[") for packet in packets)
        assert ("41" in packets) == (ending == "ban")
        if retired is not None:
            await retired
        assert await polling.post("3") == 400


async def fetch_all(polling: RawPolling) -> list[str]:
    """Return fetch_all that the client can fetch until its session has ended."""
    packets: list[str] = []
    while True:
        async with polling.http.get(polling.url) as answer:
            if answer.status != 200:
                return packets
            packets += (await answer.text()).split("\x1e")


@pytest.mark.parametrize(
    "ending", ["close packet", "not Engine.IO", "no pong", "not connected", "expired", "restart"]
)
async def test_open_poll_is_answered_when_session_ends(
    url: str, composition: Composition, ending: str
) -> None:
    async with raw_polling(url) as polling:
        connection = only_session(composition)
        polled = asyncio.create_task(polling.get())
        async with asyncio.timeout(60):
            while connection.transport.queue._filled is None:  # no other sign that the poll is open
                await asyncio.sleep(0.01)

        match ending:
            case "close packet":
                assert await polling.post("1") == 200
            case "not Engine.IO":
                await polling.post("x")
            case "no pong":
                connection.ping_timed_out()
            case "not connected":
                connection.time_out()
            case "expired":
                connection.dismiss(EXPIRED)
            case "restart":
                await composition.drain(0)

        assert await polled == ["6"]


async def test_unfetched_messages_of_closed_session_are_dropped_after_timeout(
    url: str, composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "socketio_app.adapters.engineio.remaining_packets.CLOSE_TIMEOUT_SECONDS", 0.1
    )
    async with raw_polling(url) as polling:
        await polling.post(CONNECT)

        async with asyncio.timeout(60):
            await composition.drain(0)

        assert await fetch_all(polling) == []


async def test_client_that_is_disconnected_during_upgrade_gets_disconnect_packet(
    url: str, composition: Composition
) -> None:
    async with raw_polling(url) as polling:
        await polling.post(CONNECT)
        session = polling.url.rpartition("sid=")[2]
        async with RawFrames.open(url, f"{OPEN}&sid={session}") as websocket:
            websocket.send("2probe")
            await websocket.receive_until("3probe")

            composition.chat.disconnect_user(UserId("mallory"))
            await until_empty(composition)
            websocket.send("5")

            *received, last = await websocket.receive_all()
            assert close_code(last) == 1008
            assert received[-1] == (Opcode.TEXT, b"41")
            assert await fetch_all(polling) == []
