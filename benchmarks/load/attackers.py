"""Attack a server on this machine until this process is stopped.

It prints a line when the attack has begun, and reopens connections that the server closes.

The server's key is in the environment variable SECRET_KEY.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import time

import uvloop
from jose import jwt

from benchmarks.load.attacks import ATTACKS, POLL, UPGRADE, Attack, filled
from benchmarks.load.frames import masked

ADDRESS = "127.0.0.2"
"""The address of attackers, so that they do not share the limits of the other clients."""

MAX_PAUSE_SECONDS = 0.05
"""Delay after a failed connection, so that the server is the bottleneck."""

_SID = re.compile(rb'"sid":"([^"]+)"')


class Attacker:
    """Open one connection after another."""

    def __init__(self, attack: Attack, port: int, connect: str) -> None:
        self._attack = attack
        self._port = port
        self._connect = connect
        self._repeated = filled(attack, connect)

    async def run(self) -> None:
        """Attack without end."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._attack_once()
            await asyncio.sleep(MAX_PAUSE_SECONDS)

    async def _attack_once(self) -> None:
        reader, writer = await self._open()
        try:
            if self._attack.is_upgrade:
                await self._probe(reader, writer)
                return
            if self._attack.is_websocket:
                writer.write(UPGRADE.format(sid="").encode())
                await reader.readuntil(b"\r\n\r\n")
                if self._attack.is_authenticated:
                    writer.write(masked(self._connect.encode()))
                    await reader.readuntil(b'42["connected"')
                for packet in self._attack.opening:
                    writer.write(masked(packet.encode()))
            await self._send_and_read(reader, writer)
        finally:
            writer.transport.abort()

    async def _send_and_read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        sending = asyncio.create_task(self._send(writer))
        try:
            while await reader.read(1 << 20):
                pass
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            if not sending.cancelled():
                sending.exception()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(self._repeated)
            await writer.drain()
            await asyncio.sleep(0)

    async def _probe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Open as many WebSockets of one polling session as the server accepts."""
        writer.write(POLL.format(sid="").encode())
        found = _SID.search(await reader.readuntil(b'"sid":"') + await reader.readuntil(b'"'))
        if found is None:
            return
        request = UPGRADE.format(sid="&sid=" + found.group(1).decode()).encode()
        for _ in range(1000):
            _, probing = await self._open()
            probing.write(request + self._repeated)
            probing.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=(ADDRESS, 0))


async def attack(kind: str, count: int, port: int) -> None:
    """Attack over several connections of one user."""
    claims = {"sub": "mallory", "exp": int(time.time()) + 3600}
    token = jwt.encode(claims, os.environ["SECRET_KEY"], algorithm="HS256")
    connect = "40" + json.dumps({"token": token})
    attackers = [Attacker(ATTACKS[kind], port, connect) for _ in range(count)]
    print("begun", flush=True)
    await asyncio.gather(*[attacker.run() for attacker in attackers])


def main() -> None:
    """Run an attack with command line options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(ATTACKS))
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--port", type=int, required=True, help="where the server listens")
    given = parser.parse_args()
    if hasattr(os, "SCHED_IDLE"):  # the measuring clients have priority
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    uvloop.run(attack(given.kind, given.connections, given.port))


if __name__ == "__main__":
    main()
