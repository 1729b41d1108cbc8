"""A room with more connections than are written to in one turn, on every kind of WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import attrs
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from socketio_app.adapters.socketio.crowds import PART as DEFAULT_PART
from socketio_app.adapters.socketio.fast_protocol import FastProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

TIMEOUT_SECONDS = 30
PART = 3
RECIPIENTS = 2 * PART + 1
MESSAGES = 20


@attrs.frozen
class WebSockets:
    """How uvicorn serves WebSockets, and whether the client offers compression."""

    ws: type[asyncio.Protocol] | str
    compression: Literal["deflate"] | None = None

    def __str__(self) -> str:
        name = self.ws if isinstance(self.ws, str) else self.ws.__name__
        return f"{name}-{self.compression}" if self.compression else name


KINDS = [
    WebSockets(FastProtocol),
    WebSockets(FastProtocol, "deflate"),
    WebSockets("websockets-sansio"),
    WebSockets("websockets-sansio", "deflate"),
    WebSockets("wsproto"),
]


@attrs.define
class Member:
    """A raw WebSocket client, connected to the chat."""

    socket: ClientConnection
    contents: list[str] = attrs.field(factory=list)

    async def ask(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event, and read until it is acknowledged."""
        await self.socket.send(f"421{json.dumps([event, payload])}")
        while not (await self.receive()).startswith("431"):
            pass

    async def read_messages(self, count: int) -> None:
        """Read until `count` messages of the room have come."""
        while len(self.contents) < count:
            frame = await self.receive()
            if frame.startswith('42["receive_group_message"'):
                self.contents.append(json.loads(frame.removeprefix("42"))[1]["content"])

    async def receive_until_closed(self) -> None:
        while True:
            await self.receive()

    async def receive(self) -> str:
        frame = await self.socket.recv(decode=True)
        assert isinstance(frame, str)
        if frame == "2":
            await self.socket.send("3")
        return frame


@asynccontextmanager
async def connected(
    url: str, user: str, compression: Literal["deflate"] | None
) -> AsyncIterator[Member]:
    """A connection of a user."""
    address = f"{url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    async with connect(
        address, compression=compression, ping_interval=None, max_queue=None
    ) as socket:
        member = Member(socket)
        await member.receive()
        await socket.send("40" + json.dumps({"token": token(user)}))
        while not (await member.receive()).startswith('42["connected"'):
            pass
        yield member


async def send_at_once(sender: Member, contents: Sequence[str]) -> None:
    for content in contents:
        event = ["send_group_message", {"room_id": "lobby", "content": content}]
        await sender.socket.send("42" + json.dumps(event))


async def all_messages_reach_all_members(
    url: str, recipient_count: int, compression: Literal["deflate"] | None
) -> None:
    """Let two users send at once to a room in which a third has many connections."""
    by_ann, by_bob = ([f"{user} {number}" for number in range(MESSAGES)] for user in ("ann", "bob"))
    async with AsyncExitStack() as stack, asyncio.timeout(TIMEOUT_SECONDS):

        async def connect_user(user: str) -> Member:
            return await stack.enter_async_context(connected(url, user, compression))

        ann, bob = await connect_user("ann"), await connect_user("bob")
        recipients = [await connect_user("eve") for _ in range(recipient_count)]
        for member in (recipients[0], ann, bob):
            await member.ask("join_room", {"room_id": "lobby"})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send_at_once(ann, by_ann))
            tasks.create_task(send_at_once(bob, by_bob))
            for recipient in recipients:
                tasks.create_task(recipient.read_messages(2 * MESSAGES))
        contents = recipients[0].contents
        assert [each for each in contents if each.startswith("ann")] == by_ann
        assert [each for each in contents if each.startswith("bob")] == by_bob
        for recipient in recipients:
            assert recipient.contents == contents


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_every_member_of_a_large_room_gets_every_message_in_order(kind: WebSockets) -> None:
    settings = Settings(secret_key=SECRET, rate_limits=False)
    app = application(compose(settings, part=PART))
    async with serving(app, kind.ws, ws_per_message_deflate=kind.compression is not None) as url:
        await all_messages_reach_all_members(url, RECIPIENTS, kind.compression)


@pytest.mark.parametrize("part", [PART, DEFAULT_PART])
async def test_a_connection_whose_write_raises_is_closed_and_the_others_get_everything(
    part: int, caplog: pytest.LogCaptureFixture
) -> None:
    composition = compose(Settings(secret_key=SECRET, rate_limits=False), part=part)
    async with serving(application(composition)) as url:
        async with connected(url, "eve", None) as broken:
            await broken.ask("join_room", {"room_id": "lobby"})
            (socket,) = composition.server.eio.sockets.values()
            link = socket._link
            link._websocket.write = broken_write
            link._set_direct(link._websocket)

            await all_messages_reach_all_members(url, RECIPIENTS, None)

            with pytest.raises(ConnectionClosed):
                await broken.receive_until_closed()
    assert [each.message for each in caplog.records] == ["fault while writing to a connection"]


def broken_write(_frame: bytes) -> None:
    raise OSError("broken")


async def test_a_room_above_the_default_limit_of_one_turn() -> None:
    settings = Settings(secret_key=SECRET, rate_limits=False)
    async with serving(application(compose(settings)), "websockets-sansio") as url:
        await all_messages_reach_all_members(url, DEFAULT_PART + 20, None)
