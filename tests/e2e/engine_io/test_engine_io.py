"""Edge cases of Engine.IO (protocol 4): what a connection survives, and what closes it."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient, until
from tests.e2e.engine_io.shared import CONNECT, OPEN_WEBSOCKET, SETTINGS, until_empty
from tests.e2e.raw_client import RawPolling, raw_polling
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url) as session:
        yield session


async def next_text(websocket: aiohttp.ClientWebSocketResponse, prefix: str) -> str:
    """Return the next frame that starts with `prefix`."""
    while True:
        text = await websocket.receive_str(timeout=60)
        if text.startswith(prefix):
            return text


async def acknowledgement(polling: RawPolling, ack: int) -> Any:
    """Return the acknowledgement of a command that was sent by polling."""
    while True:
        for packet in await polling.get():
            if packet.startswith(f"43{ack}["):
                return json.loads(packet.removeprefix(f"43{ack}"))[0]


NOT_ENGINE_IO = ["", "x", "9", "7", "2", "5", "6", "0{}", '0{"a"', "é"]


@pytest.mark.parametrize("frame", NOT_ENGINE_IO, ids=repr)
async def test_frame_that_is_not_engine_io_closes_connection(
    http: aiohttp.ClientSession,
    composition: Composition,
    frame: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with http.ws_connect(OPEN_WEBSOCKET) as websocket:
        await websocket.send_str(CONNECT)
        await next_text(websocket, '42["connected"')

        await websocket.send_str(frame)

        while (await websocket.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
            pass
    await until_empty(composition)
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("packet", NOT_ENGINE_IO, ids=repr)
async def test_polling_packet_that_is_not_engine_io_closes_connection(
    url: str, composition: Composition, packet: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_polling(url) as polling:
        await polling.post(CONNECT)
        valid = '421["join_room",{"room_id":"lobby"}]'

        await polling.post(valid, packet, valid.replace("421", "422"))

        await until_empty(composition)
        assert await composition.store.rooms.member_count("lobby") == 1  # type: ignore[arg-type]
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("frames", [[], ["x"], ["2probe", "x"], ["2probe"]], ids=repr)
async def test_session_continues_polling_after_failed_upgrade(
    url: str, http: aiohttp.ClientSession, frames: list[str]
) -> None:
    async with raw_polling(url) as polling:
        await polling.post(CONNECT)
        session = polling.url.rpartition("sid=")[2]
        async with http.ws_connect(f"{OPEN_WEBSOCKET}&sid={session}") as websocket:
            for frame in frames:
                await websocket.send_str(frame)
        async with asyncio.timeout(60):
            # Until the server notices the failure, a poll is answered with a NOOP.
            while (await polling.get()) == ["6"]:
                pass

        await polling.post('421["join_room",{"room_id":"lobby"}]')

        assert (await acknowledgement(polling, 1))["ok"]


async def test_polling_request_within_size_limit_has_any_number_of_packets(url: str) -> None:
    async with raw_polling(url) as polling:
        await polling.post(CONNECT)

        await polling.post(*['42["a"]'] * 5000, '421["join_room",{"room_id":"lobby"}]')

        assert (await acknowledgement(polling, 1))["ok"]


LARGE = '42%d["send_group_message",{"room_id":"lobby","content":"%s"}]'


async def test_polling_request_has_up_to_sixteen_packets_of_maximum_size(url: str) -> None:
    async with raw_polling(url) as polling:
        await polling.post(CONNECT, '421["join_room",{"room_id":"lobby"}]')
        await acknowledgement(polling, 1)

        packets = [LARGE % (number, r"\ud83d\ude00" * 4000) for number in range(2, 18)]
        assert await polling.post(*packets) == 200

        assert (await acknowledgement(polling, 17))["ok"]


@pytest.mark.parametrize(
    ("is_connected", "packets"),
    [(False, [CONNECT, *["4" * 40_000] * 2]), (True, ["4" * 5_000] * 17), (True, ["4" * 70_000])],
    ids=["not connected", "seventeen packets", "one over the limit"],
)
async def test_larger_polling_request_closes_connection(
    url: str, composition: Composition, is_connected: bool, packets: list[str]
) -> None:
    async with raw_polling(url) as polling:
        if is_connected:
            await polling.post(CONNECT)

        assert await polling.post(*packets) == 400

    await until_empty(composition)


async def test_python_client_sends_several_large_messages_in_one_polling_request(url: str) -> None:
    ada = await PythonClient().open(url, "polling", {"auth": {"token": token("ada")}})
    message = {"to_user_id": "bob", "content": "😀" * 2800}

    answers = await asyncio.gather(*[ada.call("send_personal_message", message) for _ in range(6)])

    assert all(answer["ok"] for answer in answers)
    await ada.close()


async def test_connect_after_close_packet_is_ignored(url: str, composition: Composition) -> None:
    async with raw_polling(url) as polling:
        await polling.post("1", CONNECT)

        await until_empty(composition)


async def test_event_with_numeric_name_is_unknown_command(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(OPEN_WEBSOCKET) as websocket:
        await websocket.send_str(CONNECT)

        await websocket.send_str("421[7,{}]")

        answer = json.loads((await next_text(websocket, "431")).removeprefix("431"))[0]
    assert answer["error"]["code"] == "unknown_command"


async def test_other_namespaces_are_rejected(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(OPEN_WEBSOCKET) as websocket:
        await websocket.send_str(CONNECT)
        await next_text(websocket, '42["connected"')

        await websocket.send_str('40/admin,{"token":"x"}')

        assert await next_text(websocket, "44") == '44/admin,{"message":"Invalid namespace"}'
        await websocket.send_str('421["join_room",{"room_id":"lobby"}]')
        await next_text(websocket, "431")


async def test_second_connect_closes_connection(
    http: aiohttp.ClientSession, composition: Composition
) -> None:
    async with http.ws_connect(OPEN_WEBSOCKET) as websocket:
        await websocket.send_str(CONNECT)
        await next_text(websocket, '42["connected"')

        await websocket.send_str(CONNECT)

        await until_empty(composition)


async def test_packet_sent_before_open_packet_is_handled(
    http: aiohttp.ClientSession,
) -> None:
    async with http.ws_connect(OPEN_WEBSOCKET) as websocket:
        await asyncio.gather(
            websocket.send_str(CONNECT),
            websocket.send_str('421["join_room",{"room_id":"lobby"}]'),
        )

        assert json.loads((await next_text(websocket, "431")).removeprefix("431"))[0]["ok"]


async def test_client_that_answers_no_ping_is_disconnected(composition: Composition) -> None:
    settings = Settings(secret_key=SECRET, ping_interval_seconds=1, ping_timeout_seconds=1)
    composition = compose(settings)
    async with serving(application(composition)) as url, aiohttp.ClientSession(url) as http:
        async with http.ws_connect(OPEN_WEBSOCKET) as websocket, raw_polling(url) as polling:
            await websocket.send_str(CONNECT)
            await polling.post(CONNECT)
            await next_text(websocket, "2")

            await until_empty(composition)


async def test_client_that_does_not_read_is_disconnected_without_affecting_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    composition = compose(SETTINGS)
    async with serving(application(composition)) as url, aiohttp.ClientSession(url) as http:
        bob = await PythonClient().open(url, "websocket", {"auth": {"token": token("bob")}})
        async with http.ws_connect(OPEN_WEBSOCKET) as stalled:
            await stalled.send_str(CONNECT)
            await next_text(stalled, '42["connected"')
            await stalled.send_str('421["join_room",{"room_id":"lobby"}]')
            await next_text(stalled, "431")
            transport = stalled.get_extra_info("socket")
            transport.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection = stalled._response.connection
            assert connection is not None
            assert connection.transport is not None
            connection.transport.pause_reading()
            await bob.call("join_room", {"room_id": "lobby"})

            async with asyncio.timeout(60):
                while composition.chat.connection_count == 2:
                    answer = await bob.call(
                        "send_group_message", {"room_id": "lobby", "content": "x" * 4000}
                    )
                    assert answer["ok"]

        assert "connection closed: client does not read" in caplog.text
        await until(bob, "group_message_delivered")
        await bob.close()


async def test_application_can_be_restarted() -> None:
    composition = compose(SETTINGS)
    app = application(composition)
    for _ in range(2):
        async with serving(app) as url:
            ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})

            assert (await ada.call("join_room", {"room_id": "lobby"}))["ok"]

            await ada.close()


@pytest.mark.parametrize(
    ("websockets", "times"),
    [(TakeoverProtocol, 0), ("websockets-sansio", 1)],
    ids=["ours", "other"],
)
async def test_missing_takeover_is_logged_once(
    websockets: Any, times: int, composition: Composition, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "socketio_app")
    async with serving(application(composition), websockets) as base_url:
        async with aiohttp.ClientSession(base_url) as http:
            for _ in range(2):
                async with http.ws_connect(OPEN_WEBSOCKET) as websocket:
                    await next_text(websocket, "0{")

    assert sum("several times slower" in each for each in caplog.messages) == times
