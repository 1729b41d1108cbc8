"""The connected clients of a load, and their joint actions."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import TypeVar

import picows
from jose import jwt

from benchmarks.load.client import TRANSPORTS, Client, RefusedError, Tally

AT_A_TIME = 50
"""Number of clients that connect or join at once, so that it is no attack."""

QUIET_SECONDS = 0.2

PATIENCE_SECONDS = 30
"""A server that accepts clients slowly is slow, but not broken."""

Each = TypeVar("Each")


class Crowd:
    """All clients of one load, with shared counts."""

    def __init__(self, port: int, secret: str, transport: str = "socketio") -> None:
        self.clients: list[Client] = []
        self.tally = Tally()
        self.port = port
        self._kinds = cycle(TRANSPORTS[transport])
        self._secret = secret

    async def connect(self, size: int) -> None:
        """Connect users u0, u1 and so on."""
        for users in _by_turns(_users(size)):
            self.clients += await asyncio.gather(*map(self.connect_one, users))

    async def connect_one(self, user_id: str, tally: Tally | None = None) -> Client:
        """Connect one more client, with its own counts or the crowd's."""
        claims = {"sub": user_id, "exp": int(time.time()) + 3600}
        token = jwt.encode(claims, self._secret, algorithm="HS256")
        client = next(self._kinds)(user_id, token, tally or self.tally)
        url = f"ws://127.0.0.1:{self.port}{client.path}"
        await picows.ws_connect(lambda: client, url, websocket_handshake_timeout=PATIENCE_SECONDS)
        await client.ready
        return client

    async def join(self, room_id: str) -> None:
        """Let all clients join, and wait until each has received every announcement."""
        for some in _by_turns(self.clients):
            await asyncio.gather(*[each.ask("join_room", room_id=room_id) for each in some])
        await self.quiet()

    async def join_in_turn(self, room_id: str, size: int) -> None:
        """Let users u0, u1 and so on connect, join and disconnect, one batch after another."""
        for users in _by_turns(_users(size)):
            some = await asyncio.gather(*map(self.connect_one, users))
            await asyncio.gather(*[each.ask("join_room", room_id=room_id) for each in some])
            for each in some:
                each.close()

    async def quiet(self) -> None:
        """Wait until no more frames arrive."""
        frames = -1
        while frames != self.tally.frames:
            frames = self.tally.frames
            await asyncio.sleep(QUIET_SECONDS)

    def check(self) -> None:
        """Check that the measurement is valid.

        Raises:
            RefusedError: a client was rejected or disconnected.
        """
        if self.tally.lost or self.tally.refusals:
            refusals = b" ".join(self.tally.refusals[:3]).decode()
            raise RefusedError(f"{self.tally.lost} clients were lost; refused: {refusals or '-'}")

    def close(self) -> None:
        """Drop every connection."""
        for client in self.clients:
            client.close()
        self.clients = []


def _users(size: int) -> Sequence[str]:
    return [f"u{number}" for number in range(size)]


def _by_turns(everybody: Sequence[Each]) -> Iterator[Sequence[Each]]:
    for start in range(0, len(everybody), AT_A_TIME):
        yield everybody[start : start + AT_A_TIME]
