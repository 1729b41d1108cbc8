"""How WebSockets are closed: what a client receives before the Close frame, and after it."""

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
from websockets.frames import Frame, Opcode

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.application.commands import Actor, JoinRoom, SendMessage
from socketio_app.domain.conversations import Room
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from tests.e2e.engine_io.shared import CONNECT, ON_EACH_LOOP, SETTINGS, until_empty
from tests.e2e.raw_frames import RawFrames, close_code
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.stores import HookedStore
from tests.unit.adapters.jwt.forging import RSA_KEY, certificate

pytestmark = [pytest.mark.anyio, ON_EACH_LOOP]

MUCH = "x" * 4000

LOBBY = RoomId("lobby")

BOB = Actor(UserId("bob"))

TAKEOVER = "socketio_app.adapters.websocket.owned_connection"

SMALL_BUFFER = 8192


@asynccontextmanager
async def mallory(url: str, **options: Any) -> AsyncIterator[RawFrames]:
    """Connect Mallory, and join the lobby."""
    async with RawFrames.open(url, **options) as client:
        client.send(CONNECT)
        client.send('421["join_room",{"room_id":"lobby"}]')
        await client.receive_until("431")
        yield client


async def until_unread(composition: Composition) -> None:
    """Let Bob send to the lobby until messages to Mallory, who does not read, are unread."""
    await composition.chat.execute(BOB, JoinRoom(LOBBY))
    connection = only_session(composition)
    async with asyncio.timeout(60):
        while connection.unread_bytes < 100_000:
            await composition.chat.execute(BOB, SendMessage(Room(LOBBY), MUCH))
            await asyncio.sleep(0)


async def send_until_closed(client: RawFrames) -> None:
    """Send without a pause, like a client that has not noticed the end yet."""
    with contextlib.suppress(ConnectionError):
        while True:
            for _ in range(100):
                client.send('42["typing_stop",{"room_id":"lobby"}]')
            await client.writer.drain()
            await asyncio.sleep(0)


async def test_client_that_is_still_sending_gets_close_code_of_rejected_frame(url: str) -> None:
    async with mallory(url) as client:
        client.send("x" * 8_000_000)

        assert close_code(await client.receive()) == 1009
        client.send_close()
        assert await client.receive() is None


async def test_client_that_is_still_sending_gets_close_code_of_restart(
    url: str, composition: Composition
) -> None:
    async with mallory(url) as client:
        sending = asyncio.create_task(send_until_closed(client))
        await asyncio.sleep(0)

        await composition.drain(0)

        while (frame := await client.receive()) is not None and frame[0] is not Opcode.CLOSE:
            pass
        assert close_code(frame) == 1012
        sending.cancel()
        client.send_close(1012)
        assert await client.receive() is None


async def yield_to_loop(_call: str) -> None:
    """Wait as briefly as a store outside this process does."""
    await asyncio.sleep(0)


@pytest.mark.parametrize("websockets", [TakeoverProtocol, "websockets-sansio"])
async def test_draining_server_acknowledges_every_stored_message(
    websockets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socketio_app.adapters.engineio.client_session.FINISH_TIMEOUT_SECONDS", 120)
    composition = compose(SETTINGS, store=HookedStore(before=yield_to_loop))
    async with serving(application(composition), websockets) as url, mallory(url) as client:
        sending = asyncio.create_task(send_messages_until_closed(client))
        await client.receive_until("4310")

        async with asyncio.timeout(60):
            await composition.drain(0)

        acknowledged = 10
        while (frame := await client.receive()) is not None and frame[0] is not Opcode.CLOSE:
            acknowledged += frame[1].startswith(b"43")
        sending.cancel()
        assert close_code(frame) == 1012
        assert acknowledged == await count_messages(composition)


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


async def count_messages(composition: Composition) -> int:
    """Return the number of messages in the lobby."""
    return (await composition.chat.execute(BOB, JoinRoom(LOBBY))).last_seq


async def test_tls_connection_is_closed_after_clients_close_frame(
    composition: Composition, tmp_path: Path
) -> None:
    options = tls_files(tmp_path)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with serving(application(composition), TakeoverProtocol, **options) as url:
        async with mallory(url, tls=trusting) as client:
            client.send("x" * 1_000_000)

            assert close_code(await client.receive()) == 1009
            client.send("x" * 200)
            client.send_close()

            assert await client.receive() is None


async def test_connection_is_aborted_if_client_does_not_answer_close_frame(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{TAKEOVER}.CLOSE_TIMEOUT_SECONDS", 0.2)
    async with serving(application(composition), TakeoverProtocol) as url:
        async with mallory(url) as client:
            client.send(b"x" * 100_000)
            assert close_code(await client.receive()) == 1009

            assert await client.receive() is None

            async with asyncio.timeout(60):
                while not client.writer.transport.is_closing():
                    client.send("still here")
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("ending", ["close frame", "too large", "restart"])
async def test_close_frame_is_last_despite_unread_messages(
    url: str, composition: Composition, ending: str
) -> None:
    async with mallory(url, receive_buffer_bytes=SMALL_BUFFER) as client:
        await until_unread(composition)

        client.send(b"ping", Opcode.PING)
        match ending:
            case "close frame":
                client.send_close()
            case "too large":
                client.send("x" * 100_000)
            case "restart":
                await composition.drain(0)
        for _ in range(100):
            await composition.chat.execute(BOB, SendMessage(Room(LOBBY), MUCH))
            await asyncio.sleep(0)

        *messages, last = await client.receive_all()
        assert close_code(last) == {"close frame": 1000, "too large": 1009, "restart": 1012}[ending]
        assert messages
        await until_empty(composition)


async def send_messages_from(bob: Actor, composition: Composition, number: int) -> None:
    await composition.chat.execute(bob, JoinRoom(LOBBY))
    for _ in range(number):
        await composition.chat.execute(bob, SendMessage(Room(LOBBY), MUCH))
        await asyncio.sleep(0)


@pytest.mark.parametrize("websockets", [TakeoverProtocol, "websockets-sansio"])
@pytest.mark.parametrize("ending", ["ban", "too large", "restart"])
async def test_slow_reader_gets_unread_messages_before_close_frame(
    websockets: Any, composition: Composition, ending: str
) -> None:
    app = application(composition)
    async with serving(app, websockets, system_buffer_bytes=65_536) as url:
        async with mallory(url, receive_buffer_bytes=SMALL_BUFFER) as client:
            await send_messages_from(BOB, composition, 200)
            connection = only_session(composition)
            assert connection.unread_bytes

            match ending:
                case "ban":
                    composition.chat.disconnect_user(UserId("mallory"))
                case "too large":
                    client.send("x" * 100_000)
                case "restart":
                    await composition.drain(0)
            *received, last = await client.receive_all()

    assert close_code(last) == {"ban": 1008, "too large": 1009, "restart": 1012}[ending]
    packets = [payload for _, payload in received]
    assert sum(packet.startswith(b'42["receive_group_message"') for packet in packets) == 200
    if ending == "ban":
        assert packets[-1] == b"41"


async def test_client_that_reads_nothing_is_aborted_after_close_timeout(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{TAKEOVER}.CLOSE_TIMEOUT_SECONDS", 0.1)
    app = application(composition)
    async with serving(app, TakeoverProtocol, system_buffer_bytes=65_536) as url:
        async with mallory(url, receive_buffer_bytes=SMALL_BUFFER) as client:
            await send_messages_from(BOB, composition, 200)
            connection = only_session(composition)
            assert connection.unread_bytes

            composition.chat.disconnect_user(UserId("mallory"))

            transport = connection.transport._websocket.transport
            async with asyncio.timeout(60):
                while not transport.is_closing():
                    await asyncio.sleep(0.01)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.receive_all()


@pytest.mark.parametrize("ending", ["close frame", "too large"])
async def test_session_ends_if_client_closes_behind_commands_with_large_replies(
    composition: Composition, ending: str
) -> None:
    """The replies are sent together with the Close frame, and fill the transport's buffer."""
    app = application(composition)
    async with serving(app, TakeoverProtocol, system_buffer_bytes=SMALL_BUFFER) as url:
        async with mallory(url, receive_buffer_bytes=SMALL_BUFFER) as client:
            await composition.chat.execute(BOB, JoinRoom(LOBBY))
            for _ in range(100):
                await composition.chat.execute(BOB, SendMessage(Room(LOBBY), MUCH))
            while (await client.receive_until("42")).count('"seq":100,') == 0:
                pass
            fetch = '42["fetch_history",{"room_id":"lobby","limit":100}]'

            texts = [fetch.replace("42", f"42{number}", 1).encode() for number in range(2, 40)]
            opcode, last = (Opcode.CLOSE, b"\x03\xe8")
            if ending == "too large":
                opcode, last = (Opcode.TEXT, b"x" * 100_000)
            sent = [(Opcode.TEXT, text) for text in texts] + [(opcode, last)]
            # In one write: commands that are read together are answered together.
            client.writer.write(b"".join(Frame(*each).serialize(mask=True) for each in sent))
            connection = only_session(composition)
            async with asyncio.timeout(60):
                while not connection.transport._is_lost:
                    await asyncio.sleep(0.01)

        await until_empty(composition)


def tls_files(folder: Path) -> dict[str, Any]:
    """Return uvicorn's options for TLS, with a self-signed certificate."""
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
