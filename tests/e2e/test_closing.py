"""How connections end: what a client gets before the end, and that it sees the end as one."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from websockets.frames import Opcode

from socketio_app.adapters.socketio.endings import EXPIRED
from socketio_app.adapters.socketio.fast_protocol import FastProtocol
from socketio_app.application.commands import Actor, JoinRoom, SendMessage
from socketio_app.domain.conversations import Room
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from tests.e2e.raw import raw_polling
from tests.e2e.raw_frames import RawFrames, close_code
from tests.e2e.serving import serving
from tests.e2e.test_engine_io import CONNECT, SETTINGS, until_empty
from tests.stores import HookedStore
from tests.unit.adapters.jwt.forging import RSA_KEY, certificate

pytestmark = pytest.mark.anyio

MUCH = "x" * 4000
LOBBY = RoomId("lobby")
BOB = Actor(UserId("bob"))
FAST = "socketio_app.adapters.socketio.fast_protocol"
SMALL_BUFFER = 8192


@pytest.fixture(params=["asyncio", "uvloop"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


@pytest.fixture
def composition() -> Composition:
    return compose(SETTINGS)


@pytest.fixture(params=[FastProtocol, "websockets-sansio"], ids=["taken over", "plain"])
async def url(request: pytest.FixtureRequest, composition: Composition) -> AsyncIterator[str]:
    async with serving(application(composition), request.param) as base_url:
        yield base_url


@asynccontextmanager
async def mallory(url: str, **options: Any) -> AsyncIterator[RawFrames]:
    """Mallory, connected, and in the lobby."""
    async with RawFrames.open(url, **options) as client:
        client.send(CONNECT)
        client.send('421["join_room",{"room_id":"lobby"}]')
        await client.receive_until("431")
        yield client


async def until_behind(composition: Composition) -> None:
    """Let Bob send to the lobby until something waits in the server, as Mallory does not read."""
    await composition.chat.execute(BOB, JoinRoom(LOBBY))
    (connection,) = composition.server.eio.sockets.values()
    async with asyncio.timeout(30):
        while connection.unread_bytes < 100_000:
            await composition.chat.execute(BOB, SendMessage(Room(LOBBY), MUCH))
            await asyncio.sleep(0)


async def send_until_closed(client: RawFrames) -> None:
    """Send without a pause, as a client does that has not noticed yet."""
    with contextlib.suppress(ConnectionError):
        while True:
            for _ in range(100):
                client.send('42["typing_stop",{"room_id":"lobby"}]')
            await client.writer.drain()
            await asyncio.sleep(0)


async def test_a_client_that_is_still_sending_sees_why_its_frame_was_rejected(url: str) -> None:
    async with mallory(url) as client:
        client.send("x" * 8_000_000)

        assert close_code(await client.receive()) == 1009
        client.send_close()
        assert await client.receive() is None


async def test_a_client_that_is_still_sending_sees_that_the_server_restarts(
    url: str, composition: Composition
) -> None:
    async with mallory(url) as client:
        sending = asyncio.create_task(send_until_closed(client))
        await asyncio.sleep(0)

        await composition.retire(0)

        while (frame := await client.receive()) is not None and frame[0] is not Opcode.CLOSE:
            pass
        assert close_code(frame) == 1012
        sending.cancel()
        client.send_close(1012)
        assert await client.receive() is None


async def a_turn(_call: str) -> None:
    """What a store that is not in this process takes at least."""
    await asyncio.sleep(0)


@pytest.mark.parametrize("websockets", [FastProtocol, "websockets-sansio"])
async def test_a_server_that_ends_acknowledges_every_message_that_it_has_stored(
    websockets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socketio_app.adapters.socketio.engine_socket.FINISH_SECONDS", 120)
    composition = compose(SETTINGS, store=HookedStore(before=a_turn))
    async with serving(application(composition), websockets) as url, mallory(url) as client:
        sending = asyncio.create_task(send_messages_until_closed(client))
        await client.receive_until("4310")

        async with asyncio.timeout(30):
            await composition.retire(0)

        acknowledged = 10
        while (frame := await client.receive()) is not None and frame[0] is not Opcode.CLOSE:
            acknowledged += frame[1].startswith(b"43")
        sending.cancel()
        assert close_code(frame) == 1012
        assert acknowledged == await stored(composition)


async def send_messages_until_closed(client: RawFrames) -> None:
    """Send messages faster than they are handled; the acknowledgements begin with 431."""
    numbers = count(1)
    with contextlib.suppress(ConnectionError):
        while True:
            for number in islice(numbers, 200):
                content = '{"room_id":"lobby","content":"hello"}'
                client.send(f'42{number}["send_group_message",{content}]')
            await client.writer.drain()
            await asyncio.sleep(0)


async def stored(composition: Composition) -> int:
    """How many messages the lobby has."""
    return (await composition.chat.execute(BOB, JoinRoom(LOBBY))).last_seq


async def test_over_tls_the_connection_ends_when_the_client_has_answered(
    composition: Composition, tmp_path: Path
) -> None:
    options = tls_files(tmp_path)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with serving(application(composition), FastProtocol, **options) as url:
        async with mallory(url, tls=trusting) as client:
            client.send("x" * 1_000_000)

            assert close_code(await client.receive()) == 1009
            client.send("x" * 200)
            client.send_close()

            assert await client.receive() is None


async def test_a_client_that_does_not_answer_a_close_frame_is_cut(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{FAST}.CLOSE_SECONDS", 0.2)
    async with serving(application(composition), FastProtocol) as url:
        async with mallory(url) as client:
            client.send(b"x" * 100_000)
            assert close_code(await client.receive()) == 1009

            assert await client.receive() is None

            async with asyncio.timeout(20):
                while not client.writer.transport.is_closing():
                    client.send("still here")
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("ending", ["close frame", "too large", "restart"])
async def test_nothing_follows_the_close_frame_though_much_is_unread(
    url: str, composition: Composition, ending: str
) -> None:
    async with mallory(url, receive_buffer_bytes=SMALL_BUFFER) as client:
        await until_behind(composition)

        client.send(b"there?", Opcode.PING)
        match ending:
            case "close frame":
                client.send_close()
            case "too large":
                client.send("x" * 100_000)
            case "restart":
                await composition.retire(0)
        for _ in range(100):
            await composition.chat.execute(BOB, SendMessage(Room(LOBBY), MUCH))
            await asyncio.sleep(0)

        *messages, last = await client.receive_all()
        assert close_code(last) == {"close frame": 1000, "too large": 1009, "restart": 1012}[ending]
        assert messages
        await until_empty(composition)


@pytest.mark.parametrize(
    "ending", ["close packet", "not Engine.IO", "no pong", "not connected", "expired", "restart"]
)
async def test_an_open_poll_is_answered_with_a_packet_when_its_session_ends(
    url: str, composition: Composition, ending: str
) -> None:
    async with raw_polling(url) as polling:
        (connection,) = composition.server.eio.sockets.values()
        polled = asyncio.create_task(polling.get())
        async with asyncio.timeout(20):
            while connection._outbox._filled is None:  # nothing else says that the poll is open
                await asyncio.sleep(0.01)

        match ending:
            case "close packet":
                assert await polling.post("1") == 200
            case "not Engine.IO":
                await polling.post("x")
            case "no pong":
                connection.ping_timed_out()
            case "not connected":
                connection.give_up()
            case "expired":
                connection.dismiss(EXPIRED)
            case "restart":
                await composition.retire(0)

        assert await polled == ["6"]


def tls_files(folder: Path) -> dict[str, Any]:
    """uvicorn's options for TLS, with a certificate that nobody has signed."""
    key, certificate_file = folder / "key.pem", folder / "certificate.pem"
    key.write_bytes(
        RSA_KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate_file.write_bytes(certificate(RSA_KEY).public_bytes(serialization.Encoding.PEM))
    return {"ssl_keyfile": str(key), "ssl_certfile": str(certificate_file)}
