"""Raw WebSocket clients that are members of one room."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import attrs
from websockets.asyncio.client import ClientConnection, connect

from tests.tokens import token

TIMEOUT_SECONDS = 180
MESSAGES = 20

Compression = Literal["deflate"] | None
"""The compression that a client offers; browsers always offer it."""


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
        """Read until `count` messages of the room have been received."""
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
async def connected(url: str, user: str, compression: Compression) -> AsyncIterator[Member]:
    """Connect a user."""
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
    url: str, recipient_count: int, compression: Compression
) -> None:
    """Send messages from two users concurrently to a room in which a third has many connections."""
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
