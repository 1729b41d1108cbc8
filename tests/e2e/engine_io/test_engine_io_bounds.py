"""What a client can make the server store or do is bounded, and ends with its connection."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
import pytest
from websockets.frames import Frame, Opcode

from socketio_app.application.commands import Actor, SendMessage
from socketio_app.domain.conversations import Person
from socketio_app.domain.identifiers import UserId
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from tests.e2e.clients import PythonClient, until
from tests.e2e.engine_io.shared import CONNECT, OPEN_WEBSOCKET, SETTINGS, until_empty
from tests.e2e.engine_io.test_engine_io import acknowledgement, next_text
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.stores import Gate, HookedStore
from tests.tokens import token

pytestmark = pytest.mark.anyio

JOIN = '421["join_room",{"room_id":"lobby"}]'

MUCH = "x" * 4000


@pytest.fixture
def composition() -> Composition:
    return compose(SETTINGS.replace(metrics_port=9000))


@asynccontextmanager
async def bob_in_lobby(url: str) -> AsyncIterator[PythonClient]:
    """Connect Bob, and join the lobby."""
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
    async with bob_in_lobby(url) as bob, raw_polling(url) as polling:
        await polling.post(CONNECT, JOIN)

        await talk_until(bob, lambda: composition.chat.connection_count == 1)

        assert "connection closed: client does not read" in caplog.text
        metrics = composition.server.context.metrics
        assert metrics is not None
        assert metrics.connections_closed == {"not_reading": 1}
        assert metrics.frames_dropped > 0


async def test_unread_limit_applies_after_upgrade(url: str, composition: Composition) -> None:
    async with bob_in_lobby(url) as bob, raw_polling(url) as polling:
        await polling.post(CONNECT, JOIN)
        session = polling.url.rpartition("sid=")[2]
        async with aiohttp.ClientSession(url) as http:
            async with http.ws_connect(f"{OPEN_WEBSOCKET}&sid={session}") as websocket:
                await websocket.send_str("2probe")
                await next_text(websocket, "3probe")
                for _ in range(200):  # less than the unread limit, but more than one write
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
        reader, writer = await open_without_reading(url)
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


async def open_without_reading(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a WebSocket whose client reads only on request."""
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

        assert (await acknowledgement(polling, 1))["ok"]


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
        reader, writer = await open_without_reading(url)
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
            await asyncio.sleep(0)  # iterations of the loop in which the server could read more
        assert len(connection.transport._inbox._waiting) < 1000

        gate.release()
        await reader.readuntil(b"431[")
        writer.transport.abort()
