"""What a client can make the server hold or do is bounded, and ends with its connection."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import aiohttp
import pytest
from starlette.types import Message, Receive, Scope, Send
from websockets.frames import Frame, Opcode

from socketio_app.adapters.engineio.upgrade import MAX_PROBES
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.application.commands import Actor, SendMessage
from socketio_app.domain.conversations import Person
from socketio_app.domain.identifiers import UserId
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from tests.e2e.clients import PythonClient, until
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.e2e.test_engine_io import (
    CONNECT,
    OPEN_WEBSOCKET,
    SETTINGS,
    answered,
    next_text,
    until_empty,
)
from tests.stores import Gate, HookedStore
from tests.tokens import token

pytestmark = pytest.mark.anyio

JOIN = '421["join_room",{"room_id":"lobby"}]'
MUCH = "x" * 4000


@pytest.fixture
def composition() -> Composition:
    return compose(SETTINGS)


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"])
async def url(request: pytest.FixtureRequest, composition: Composition) -> AsyncIterator[str]:
    async with serving(application(composition), request.param) as base_url:
        yield base_url


@asynccontextmanager
async def talkative(url: str) -> AsyncIterator[PythonClient]:
    """Bob, in the lobby."""
    bob = await PythonClient().open(url, "websocket", {"auth": {"token": token("bob")}})
    await bob.call("join_room", {"room_id": "lobby"})
    yield bob
    await bob.close()


async def talk_until(bob: PythonClient, done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            answer = await bob.call("send_group_message", {"room_id": "lobby", "content": MUCH})
            assert answer["ok"]


async def test_client_that_never_polls_is_disconnected_at_unread_limit(
    url: str, composition: Composition, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with talkative(url) as bob, raw_polling(url) as polling:
        await polling.post(CONNECT, JOIN)

        await talk_until(bob, lambda: composition.chat.connection_count == 1)

        assert "connection closed: client does not read" in caplog.text


async def test_unread_limit_applies_after_upgrade(url: str, composition: Composition) -> None:
    async with talkative(url) as bob, raw_polling(url) as polling:
        await polling.post(CONNECT, JOIN)
        session = polling.url.rpartition("sid=")[2]
        async with aiohttp.ClientSession(url) as http:
            async with http.ws_connect(f"{OPEN_WEBSOCKET}&sid={session}") as websocket:
                await websocket.send_str("2probe")
                await next_text(websocket, "3probe")
                for _ in range(200):  # less than may wait, and more than goes at once
                    await bob.call("send_group_message", {"room_id": "lobby", "content": MUCH})
                small = websocket.get_extra_info("socket")
                small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection = websocket._response.connection
                assert connection is not None
                assert connection.transport is not None
                connection.transport.pause_reading()
                await websocket.send_str("5")

                await talk_until(bob, lambda: composition.chat.connection_count == 1)


async def test_pongs_to_client_that_does_not_read_are_bounded() -> None:
    composition = compose(SETTINGS.replace(rate_limits=False))
    ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=True)
    async with serving(application(composition)) as url:
        reader, writer = await open_by_hand(url)
        writer.write(Frame(Opcode.TEXT, CONNECT.encode()).serialize(mask=True))
        await reader.readuntil(b'42["connected"')
        connection = only_session(composition)
        for _ in range(200):
            writer.write(ping * 1000)
            await writer.drain()

        async with asyncio.timeout(60):
            while not connection.transport._websocket._is_writing_paused:
                await asyncio.sleep(0)
        assert connection.transport._websocket.transport.get_write_buffer_size() < 200_000
        writer.transport.abort()


async def open_by_hand(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket whose client reads only when it wants to."""
    host, port = url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=raw)
    writer.write(
        f"GET {OPEN_WEBSOCKET} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"}")
    return reader, writer


async def test_session_has_one_upgrade_at_a_time(url: str, composition: Composition) -> None:
    async with raw_polling(url) as polling, aiohttp.ClientSession(url) as http:
        await polling.post(CONNECT)
        there = f"{OPEN_WEBSOCKET}&sid={polling.url.rpartition('sid=')[2]}"
        async with AsyncExitStack() as stack:
            opening = [stack.enter_async_context(http.ws_connect(there)) for _ in range(20)]
            opened = await asyncio.gather(*opening, return_exceptions=True)
            (websocket,) = [
                each for each in opened if isinstance(each, aiohttp.ClientWebSocketResponse)
            ]
            refused = [each for each in opened if isinstance(each, aiohttp.WSServerHandshakeError)]
            assert len(refused) == 19

            await websocket.send_str("2probe")
            await next_text(websocket, "3probe")
            await websocket.send_str("5")
            await websocket.send_str(JOIN)
            await next_text(websocket, "431")
    await until_empty(composition)


@pytest.mark.parametrize("sent", [[], ["2probe"], ["x"]], ids=repr)
async def test_upgrade_can_be_retried_after_failure(url: str, sent: list[str]) -> None:
    async with raw_polling(url) as polling, aiohttp.ClientSession(url) as http:
        await polling.post(CONNECT)
        there = f"{OPEN_WEBSOCKET}&sid={polling.url.rpartition('sid=')[2]}"
        async with http.ws_connect(there) as first:
            for packet in sent:
                await first.send_str(packet)
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            second = None
            while second is None:  # until the server has noticed
                with contextlib.suppress(aiohttp.WSServerHandshakeError):
                    second = await stack.enter_async_context(http.ws_connect(there))

            await second.send_str("2probe")

            await next_text(second, "3probe")


async def test_number_of_failed_upgrades_is_limited_and_polling_continues(
    url: str,
) -> None:
    async with raw_polling(url) as polling, aiohttp.ClientSession(url) as http:
        await polling.post(CONNECT)
        there = f"{OPEN_WEBSOCKET}&sid={polling.url.rpartition('sid=')[2]}"
        opened = refused = 0
        while refused < 100 and opened <= MAX_PROBES:
            try:
                async with http.ws_connect(there):
                    opened, refused = opened + 1, 0
            except aiohttp.WSServerHandshakeError:
                refused += 1  # perhaps the server has not noticed yet that the last one has ended

        assert opened == MAX_PROBES
        assert any(packet.startswith("40") for packet in await polling.get())


@pytest.mark.parametrize("websockets", [TakeoverProtocol, "websockets-sansio"])
async def test_websocket_of_session_that_ended_before_accept_is_closed(
    websockets: Any, composition: Composition
) -> None:
    is_waiting, may_go_on = asyncio.Event(), asyncio.Event()
    app = application(composition)

    async def accepts_slowly(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_slowly(message: Message) -> None:
            if message["type"] == "websocket.accept":
                is_waiting.set()
                await may_go_on.wait()
            await send(message)

        await app(scope, receive, send_slowly)

    async with serving(accepts_slowly, websockets) as url, aiohttp.ClientSession(url) as http:
        opening = asyncio.create_task(http.ws_connect(OPEN_WEBSOCKET))
        await is_waiting.wait()

        await composition.drain(0)
        may_go_on.set()

        async with await opening as websocket:
            while (message := await websocket.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
    await until_empty(composition)


async def test_packets_behind_invalid_packet_are_not_handled(
    url: str, composition: Composition, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with aiohttp.ClientSession(url) as http:
        async with http.ws_connect(OPEN_WEBSOCKET) as websocket:
            await next_text(websocket, "0")
            for _ in range(1000):
                await websocket.send_str("x")
            async for _ in websocket:
                pass
    await until_empty(composition)

    assert sum("not an Engine.IO packet" in each for each in caplog.messages) == 1


@pytest.mark.parametrize(
    "packet",
    [
        b"\xff",
        b"40/\xff,",
        b'421["\xff"]',
        b'421["join_room",{"room_id":"lobby","unknown":"\xff"}]',
        b'431["\xff"]',
    ],
    ids=["packet", "namespace", "name", "unknown field", "acknowledgement"],
)
async def test_invalid_utf8_closes_connection_without_traceback(
    url: str, composition: Composition, caplog: pytest.LogCaptureFixture, packet: bytes
) -> None:
    async with raw_polling(url) as polling:
        await polling.post(CONNECT)

        async with polling.http.post(polling.url, data=packet) as answer:
            await answer.read()

        await until_empty(composition)
    assert [record for record in caplog.records if record.exc_info] == []


async def test_cancelled_poll_closes_session(url: str, composition: Composition) -> None:
    async with raw_polling(url) as polling:
        await polling.post(CONNECT)
        await polling.get()
        poll = asyncio.create_task(polling.get())
        async with asyncio.timeout(60):
            connection = only_session(composition)
            while connection.transport.queue._filled is None:
                await asyncio.sleep(0)

        poll.cancel()

        await until_empty(composition)


async def test_incomplete_request_has_no_effect(url: str, composition: Composition) -> None:
    async with raw_polling(url) as polling:
        await polling.post(CONNECT)
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        path = polling.url.removeprefix(url)
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n{JOIN}".encode()
        )
        await writer.drain()
        writer.close()

        await until_empty(composition)
    assert await composition.store.rooms.member_count("lobby") == 0  # type: ignore[arg-type]


async def test_chunked_request_is_read_completely(url: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield JOIN[:10].encode()
        yield JOIN[10:].encode()

    async with raw_polling(url) as polling:
        await polling.post(CONNECT)

        async with polling.http.post(polling.url, data=pieces()) as answer:
            assert answer.status == 200

        assert (await answered(polling, 1))["ok"]


@pytest.mark.parametrize("query", ["EIO=4&transport=polling", "EIO=4"])
async def test_websocket_with_polling_query_is_rejected(
    url: str, composition: Composition, query: str
) -> None:
    async with aiohttp.ClientSession(url) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"/socket.io/?{query}")

    await until_empty(composition)


async def test_negotiated_compression_works(composition: Composition) -> None:
    app = application(composition)
    async with serving(app, TakeoverProtocol, ws_per_message_deflate=True) as url:
        async with aiohttp.ClientSession(url) as http:
            async with http.ws_connect(OPEN_WEBSOCKET, compress=15) as websocket:
                assert websocket.compress
                await websocket.send_str(CONNECT)
                await next_text(websocket, '42["connected"')


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_verify_token_can_use_timeouts_and_task_groups(
    transport: Literal["polling", "websocket"],
) -> None:
    async def verify(given: str) -> str:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(0))
        return given

    chat: Any = compose(SETTINGS, verify_token=verify)
    async with serving(application(chat)) as url:
        ada = await PythonClient().open(url, transport, {"auth": {"token": "ada"}})

        assert (await ada.call("join_room", {"room_id": "lobby"}))["ok"]

        await ada.close()


async def test_own_origin_is_allowed_over_tls() -> None:
    composition = compose(SETTINGS)
    environ = {"HTTP_HOST": "chat.example", "wsgi.url_scheme": "https"}

    allowed = composition.server._engine._cors_allowed_origins(environ)

    assert "https://chat.example" in (allowed or [])


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_missed_messages_do_not_close_new_connection(
    url: str, composition: Composition, transport: Literal["polling", "websocket"]
) -> None:
    missed = SETTINGS.limits().max_offline_push
    for _ in range(missed):
        content = "x" * SETTINGS.limits().max_content_chars
        command = SendMessage(Person(UserId("bob")), content)
        await composition.chat.execute(Actor(UserId("ada")), command)

    bob = await PythonClient().open(url, transport, {"auth": {"token": token("bob")}})

    await until(bob, "receive_personal_message", missed)
    assert (await bob.call("join_room", {"room_id": "lobby"}))["ok"]
    await bob.close()


async def test_packets_read_at_once_are_bounded() -> None:
    gate = Gate()
    composition = compose(SETTINGS, store=HookedStore(before=gate))
    small = Frame(Opcode.TEXT, b'42["typing_stop",{"to_user_id":"bob"}]').serialize(mask=True)
    last = Frame(Opcode.TEXT, JOIN.encode()).serialize(mask=True)
    async with serving(application(composition)) as url:
        reader, writer = await open_by_hand(url)
        writer.write(Frame(Opcode.TEXT, CONNECT.encode()).serialize(mask=True))
        await reader.readuntil(b'42["connected"')
        connection = only_session(composition)
        gate.hold_next("is_member")
        held = b'42["send_group_message",{"room_id":"lobby","content":"hello"}]'
        writer.write(Frame(Opcode.TEXT, held).serialize(mask=True) + small * 5000 + last)
        await gate.reached()

        websocket = connection.transport._websocket
        async with asyncio.timeout(60):
            while websocket._owner_reads or not websocket._is_behind:
                await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)  # the loop's turns, in which more could be taken
        assert len(connection.transport._inbox._waiting) < 1000

        gate.release()
        await reader.readuntil(b"431[")
        writer.transport.abort()
