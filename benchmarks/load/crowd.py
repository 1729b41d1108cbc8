"""Many clients, and what they do together."""

import asyncio
import time

import picows
from jose import jwt

from benchmarks.load.client import Client, RefusedError, Tally

AT_A_TIME = 50
"""So many clients connect, or join, before the next do: a crowd, not an attack."""

QUIET_SECONDS = 0.2


class Crowd:
    """All clients of one load, and their one tally."""

    def __init__(self, port: int, secret: str) -> None:
        self.clients: list[Client] = []
        self.tally = Tally()
        self._url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        self._secret = secret

    async def connect(self, size: int) -> None:
        """Connect users u0, u1 and so on."""
        users = [f"u{number}" for number in range(size)]
        for start in range(0, size, AT_A_TIME):
            some = map(self.connect_one, users[start : start + AT_A_TIME])
            self.clients += await asyncio.gather(*some)

    async def connect_one(self, user_id: str, tally: Tally | None = None) -> Client:
        """A client that is not of the crowd, with a tally of its own or the crowd's."""
        claims = {"sub": user_id, "exp": int(time.time()) + 3600}
        token = jwt.encode(claims, self._secret, algorithm="HS256")
        client = Client(user_id, token, tally or self.tally)
        await picows.ws_connect(lambda: client, self._url)
        await client.ready
        return client

    async def join(self, room_id: str) -> None:
        """Everybody joins, and everybody has heard of it."""
        for start in range(0, len(self.clients), AT_A_TIME):
            some = self.clients[start : start + AT_A_TIME]
            await asyncio.gather(*[each.ask("join_room", room_id=room_id) for each in some])
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until nothing comes any more."""
        frames = -1
        while frames != self.tally.frames:
            frames = self.tally.frames
            await asyncio.sleep(QUIET_SECONDS)

    def check(self) -> None:
        """Make sure that what was measured is what was meant.

        Raises:
            RefusedError: somebody was refused something, or cut off.
        """
        if self.tally.lost or self.tally.refusals:
            refusals = b" ".join(self.tally.refusals[:3]).decode()
            raise RefusedError(f"{self.tally.lost} clients were lost; refused: {refusals or '-'}")

    def close(self) -> None:
        """Drop every connection."""
        for client in self.clients:
            client.close()
