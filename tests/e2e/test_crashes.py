"""Acknowledged messages survive `kill -9`, once and in order."""

import asyncio
import contextlib
import os
import random
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import attrs
import pytest
import socketio

from tests.databases import postgres_database
from tests.e2e.clients import PythonClient
from tests.e2e.test_serving import free_port, wait_until_there
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "10"))
SENDERS = 4
ROOM = {"room_id": "lobby"}

Stored = list[tuple[int, str]]
"""Return `seq` and `client_message_id` of the room's messages in the database."""


@attrs.frozen
class Database:
    """A database of the server, and how a test reads it."""

    url: str
    read: Callable[[], Awaitable[Stored]]


_QUERY = """
    SELECT seq, client_message_id FROM chat_message JOIN chat_conversation USING (conversation_id)
    WHERE room_id IS NOT NULL ORDER BY seq
"""


def in_sqlite(path: Path) -> Database:
    async def read() -> Stored:
        with contextlib.closing(sqlite3.connect(path / "chat.db")) as connection:
            return [(seq, name.decode()) for seq, name in connection.execute(_QUERY)]

    return Database(f"sqlite:///{path}/chat.db", read)


def in_postgres(url: str) -> Database:
    async def read() -> Stored:
        connection = await asyncpg.connect(url)
        try:
            return [(seq, name.decode()) for seq, name in await connection.fetch(_QUERY)]
        finally:
            await connection.close()

    return Database(url, read)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            yield in_sqlite(tmp_path)
        else:
            yield in_postgres(await stack.enter_async_context(postgres_database()))


@attrs.define
class Load:
    """Senders that give every message an id, and retry it until it is acknowledged."""

    url: str
    acknowledged: dict[str, int] = attrs.field(factory=dict)
    stopping: bool = False
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def until_acknowledged(self, count: int) -> None:
        while len(self.acknowledged) < count:
            self.changed.clear()
            await self.changed.wait()

    async def send_from(self, sender: str) -> None:
        number, client = 0, None
        while not (self.stopping and client is not None):
            try:
                client = client or await self._connect(sender)
                name = f"{sender}-{number}"
                command = {**ROOM, "content": name, "client_message_id": name}
                answer = await client.call("send_group_message", command)
            except (socketio.exceptions.SocketIOError, OSError):
                if client is not None:
                    await client.close()
                client = None
                await asyncio.sleep(0.01)  # the server is down: retry, but not in a busy loop
                continue
            assert answer["ok"], answer
            self.acknowledged[name] = answer["message"]["seq"]
            self.changed.set()
            number += 1
        await client.close()

    async def _connect(self, sender: str) -> PythonClient:
        options = {"auth": {"token": token(sender)}}
        client = await PythonClient().open(self.url, "websocket", options)
        try:
            assert (await client.call("join_room", ROOM))["ok"]
        except BaseException:
            await client.close()
            raise
        return client


async def start(url: str, database: Database) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "socketio_app.server"],
        env={
            "PATH": os.environ["PATH"],
            "SECRET_KEY": SECRET,
            "SOCKETIO_PORT": url.rpartition(":")[2],
            "DATABASE_URL": database.url,
            "RATE_LIMITS": "off",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    await wait_until_there(url, process)
    return process


@pytest.mark.timeout(60 + 15 * ROUNDS)
async def test_acknowledged_messages_are_stored_exactly_once_after_crashes(
    database: Database,
) -> None:
    chance = random.Random(20261123)  # noqa: S311  (chance, not a secret)
    load = Load(f"http://127.0.0.1:{free_port()}")
    process = await start(load.url, database)
    senders = [asyncio.create_task(load.send_from(f"sender{n}")) for n in range(SENDERS)]

    for _ in range(ROUNDS):
        await load.until_acknowledged(len(load.acknowledged) + chance.randint(1, 60))
        process.kill()
        await process.communicate()
        acknowledged = dict(load.acknowledged)

        stored = await database.read()

        places = {name: seq for seq, name in stored}
        assert [seq for seq, _ in stored] == list(range(1, len(stored) + 1))
        assert len(places) == len(stored)
        assert {name: places.get(name) for name in acknowledged} == acknowledged
        process = await start(load.url, database)

    load.stopping = True
    await asyncio.gather(*senders)
    process.kill()
    await process.communicate()
    assert sorted(name for _, name in await database.read()) == sorted(load.acknowledged)
