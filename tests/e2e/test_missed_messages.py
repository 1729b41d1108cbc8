"""Missed messages are pushed as fast as the client reads them (docs/wire.md, "Missed messages")."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor, JoinRoom, SendMessage
from socketio_app.application.limits import Limits
from socketio_app.domain.conversations import Person, Room
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.clients import NodeProcess, PythonClient, until
from tests.e2e.conftest import Kind
from tests.e2e.frame_client import FrameSocket
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

MISSED = 500
CONTENT = "語" * 4000
"""12,000 bytes; all missed messages together are six times the unread limit."""

SYSTEM_BUFFER_BYTES = 65_536
ADA, BOB = UserId("ada"), UserId("bob")
LOBBY = RoomId("lobby")


@attrs.frozen
class Served:
    """A chat in which Bob has missed many messages."""

    url: str
    chat: Chat

    async def send(self, content: str = CONTENT) -> None:
        await self.chat.execute(Actor(ADA), SendMessage(Person(BOB), content))

    async def send_to_room(self) -> None:
        await self.chat.execute(Actor(ADA), SendMessage(Room(LOBBY), "in the lobby"))

    async def connect_ada(self) -> PythonClient:
        return await PythonClient().open(self.url, "websocket", {"auth": {"token": token("ada")}})


@asynccontextmanager
async def served(kind: Kind | None = None) -> AsyncIterator[Served]:
    app = create_socketio_app(settings=Settings(secret_key=SECRET, rate_limits=False))
    websockets = {} if kind is None else {"websockets": kind.websockets}
    async with serving(app, system_buffer_bytes=SYSTEM_BUFFER_BYTES, **websockets) as url:
        chat = Served(url, app.state.chat)
        for user_id in (ADA, BOB):
            await chat.chat.execute(Actor(user_id), JoinRoom(LOBBY))
        for _ in range(MISSED):
            await chat.send()
        yield chat


class SlowClient:
    """Bob's client, which reads on request and answers pings."""

    def __init__(self, socket: FrameSocket) -> None:
        self._socket = socket
        self.seqs: list[int] = []
        """The `seq`s of Ada's messages, in the order of arrival."""
        self.in_lobby = 0
        self.after_seqs = 0
        """The number of Ada's messages that arrived before the lobby's first."""

    @classmethod
    async def open(cls, url: str) -> "SlowClient":
        address = f"{url}/socket.io/?EIO=4&transport=websocket"
        socket = await FrameSocket.open(address, has_small_buffer=False)
        socket.send(['40{"token":"%s"}' % token("bob")])
        return cls(socket)

    async def read(self, count: int) -> None:
        """Read until `count` of Ada's messages have been received."""
        while len(self.seqs) < count:
            await self._read()

    async def confirm(self, ada: PythonClient, receipts: int) -> None:
        """Answer pings until Ada was notified of `count` deliveries."""
        reading = asyncio.create_task(self._read_on())
        await until(ada, "personal_message_delivered", count=receipts)
        reading.cancel()

    async def _read_on(self) -> None:
        while True:
            await self._read()

    async def _read(self) -> None:
        assert not self._socket.is_at_end, f"closed after {len(self.seqs)} messages"
        for frame in await self._socket.read():
            self._take(bytes(frame.data))

    def _take(self, data: bytes) -> None:
        if data == b"2":
            self._socket.send(["3"])
        elif data.startswith(b"42"):
            event, payload = json.loads(data[2:])
            if event == "receive_personal_message":
                self.seqs.append(payload["seq"])
            elif event == "receive_group_message":
                self.in_lobby += 1
                self.after_seqs = self.after_seqs or len(self.seqs)

    def abort(self) -> None:
        self._socket.abort()


async def test_slow_client_gets_missed_messages_in_order_before_live_ones() -> None:
    async with served() as chat:
        ada = await chat.connect_ada()
        bob = await SlowClient.open(chat.url)
        for number in range(1, 11):
            await bob.read(number * 20)
            await chat.send()
            await chat.send_to_room()

        await bob.read(MISSED + 10)
        await bob.confirm(ada, MISSED + 10)

        assert bob.seqs == list(range(1, MISSED + 11))
        assert bob.in_lobby == 10
        assert bob.after_seqs < MISSED
        receipts = [event["seq"] for event in ada.inbox.of("personal_message_delivered")]
        assert receipts == list(range(1, MISSED + 11))
        bob.abort()
        await ada.close()


async def test_unreceived_messages_are_pushed_to_next_connection() -> None:
    async with served() as chat:
        ada = await chat.connect_ada()
        bob = await SlowClient.open(chat.url)
        await bob.read(20)
        bob.abort()

        bob_again = await SlowClient.open(chat.url)
        await bob_again.read(1)
        first = bob_again.seqs[0]
        await bob_again.read(MISSED + 1 - first)

        assert first <= len(bob.seqs) + 1
        assert bob_again.seqs == list(range(first, MISSED + 1))
        await bob_again.confirm(ada, MISSED)
        bob_again.abort()
        await ada.close()


async def test_official_clients_get_all_missed_messages(
    kind: Kind, node: NodeProcess | None
) -> None:
    async with served(kind) as chat:
        ada = await chat.connect_ada()
        open_client: Callable[..., Awaitable[Any]]
        open_client = PythonClient().open if node is None else node.open
        bob = await open_client(chat.url, kind.transport, {"auth": {"token": token("bob")}})
        await chat.send()

        await until(bob, "receive_personal_message", count=MISSED + 1)

        received = bob.inbox.of("receive_personal_message")
        assert [message["seq"] for message in received] == list(range(1, MISSED + 2))
        await until(ada, "personal_message_delivered", count=MISSED + 1)
        await bob.close()
        await ada.close()


async def test_missed_messages_queued_for_client_that_does_not_poll_are_bounded() -> None:
    composition = compose(Settings(secret_key=SECRET, rate_limits=False))
    async with serving(application(composition)) as url, raw_polling(url) as bob:
        chat = Served(url, composition.chat)
        for _ in range(MISSED):
            await chat.send()
        await bob.post('40{"token":"%s"}' % token("bob"))
        received: list[str] = []

        while len(received) < MISSED:
            assert composition.server.unread_bytes < 2 * Limits().max_push_batch_bytes
            received += [packet for packet in await bob.get() if "receive_personal" in packet]

        seqs = [json.loads(packet[2:])[1]["seq"] for packet in received]
        assert seqs == list(range(1, MISSED + 1))
