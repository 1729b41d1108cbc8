"""How many messages a second each store takes, through its port.

Usage: python -m benchmarks.appends [--messages N] [--rounds N] [sqlite] [postgresql]

For each database, in turn and round by round:

- 64 callers at once, whose messages share transactions,
- the same with a transaction for each message, as a store without group commit would do it,
- one caller alone, and next to it the plainest way to append on the same database: raise the
  conversation's last place, insert, commit.

What is printed are medians of the rounds; CPU is the process's own, without the database server's.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import attrs
import uvloop

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.migrations import migrate_postgres
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.sqlite.file import open_connection
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.adapters.system import SystemClock, new_message_id
from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import ClientMessageId, RoomId, UserId
from socketio_app.domain.messaging import Draft
from tests.servers import postgres

CALLERS = 64
TOGETHER = f"{CALLERS} callers"
"""The name of the figures of all callers at once."""

CONVERSATIONS: Sequence[Conversation] = [
    *[Room(RoomId(f"room{number}")) for number in range(100)],
    *[Pair.of(UserId("ada"), UserId(f"user{number}")) for number in range(100)],
]
CONTENT = "x" * 80
ADA, PLAIN = UserId("ada"), RoomId("plain")

_clock = SystemClock()
_numbers = count()


def draft() -> Draft:
    """Return the next message, as a client that can retry would send it."""
    number = next(_numbers)
    conversation = CONVERSATIONS[number % len(CONVERSATIONS)]
    return Draft(
        new_message_id(),
        conversation,
        ADA,
        conversation.recipient(ADA),
        CONTENT,
        _clock.now(),
        ClientMessageId(f"m{number}"),
    )


@attrs.frozen
class Figures:
    """The result of one round of one method."""

    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


async def measure(append: Callable[[], Awaitable[object]], callers: int, messages: int) -> Figures:
    """Append messages, one after another in each caller."""
    durations: list[float] = []
    turns = iter(range(messages))

    async def append_some() -> None:
        for _ in turns:
            began = time.perf_counter()
            await append()
            durations.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[append_some() for _ in range(callers)])
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    durations.sort()
    return Figures(
        messages / seconds,
        cpu_seconds / messages * 1e6,
        durations[len(durations) // 2] * 1e3,
        durations[len(durations) * 99 // 100] * 1e3,
    )


@attrs.frozen
class Database:
    """A store, and a plain commit on the same database."""

    store: Store
    single_commit: Callable[[], Awaitable[object]]
    commits: GroupCommit[Any, Any]


@asynccontextmanager
async def on_sqlite() -> AsyncIterator[Database]:
    """Create a database file in the temporary directory."""
    with tempfile.TemporaryDirectory() as folder:
        store, other = [SqliteStore(Path(folder) / name, 10) for name in ("chat.db", "plain.db")]
        await store.start()
        await other.start()
        await other.rooms.join(PLAIN, ADA, _clock.now())
        await other.close()
        connection = open_connection(Path(folder) / "plain.db")

        async def single_commit() -> None:
            await asyncio.get_running_loop().run_in_executor(None, _append_plainly, connection)

        try:
            yield Database(store, single_commit, store._commits)
        finally:
            await store.close()
            connection.close()


def _append_plainly(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (seq,) = connection.execute(
        "UPDATE chat_conversation SET last_seq = last_seq + 1 RETURNING last_seq"
    ).fetchone()
    connection.execute(
        "INSERT INTO chat_message VALUES (1, ?, ?, ?, ?, 0, ?, 0)",
        (seq, new_message_id(), ADA.encode(), CONTENT.encode(), str(seq).encode()),
    )
    connection.execute("COMMIT")


@asynccontextmanager
async def on_postgresql() -> AsyncIterator[Database]:
    """Start a database server that flushes to disk."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres(fsync="on")).url
        await migrate_postgres(url)
        store = PostgresStore(url, rooms_per_user=10)
        await store.start()
        stack.push_async_callback(store.close)
        await store.rooms.join(PLAIN, ADA, _clock.now())
        connection = await asyncpg.connect(url)
        stack.push_async_callback(connection.close)

        async def single_commit() -> None:
            values = (new_message_id(), ADA.encode(), CONTENT.encode())
            await connection.execute(_APPEND_PLAINLY, PLAIN.encode(), *values)

        yield Database(store, single_commit, store.messages.commits)


_APPEND_PLAINLY = """
    WITH conversation AS (
        UPDATE chat_conversation SET last_seq = last_seq + 1 WHERE room_id = $1
        RETURNING conversation_id, last_seq
    )
    INSERT INTO chat_message
    SELECT conversation_id, last_seq, $2, $3, $4, 0, last_seq::text::bytea FROM conversation
"""

DATABASES = {"sqlite": on_sqlite, "postgresql": on_postgresql}


@contextmanager
def a_commit_each(commits: GroupCommit[Any, Any]) -> Iterator[None]:
    """Disable group commit within the context."""
    max_batch_writes, commits._max_batch_writes = commits._max_batch_writes, 1
    yield
    commits._max_batch_writes = max_batch_writes


async def compare(database: Database, messages: int, rounds: int) -> dict[str, Figures]:
    """Run every method in turn, round by round; return the medians."""

    async def append() -> None:
        await database.store.messages.append(draft())

    found: dict[str, list[Figures]] = {}
    for turn in range(rounds + 1):
        of_round = {TOGETHER: await measure(append, CALLERS, messages)}
        of_round["one caller"] = await measure(append, 1, messages // 10)
        of_round["a plain commit"] = await measure(database.single_commit, 1, messages // 10)
        with a_commit_each(database.commits):
            of_round["64 callers, a commit each"] = await measure(append, CALLERS, messages // 10)
        if turn:  # the first round is a warm-up
            for name, figures in of_round.items():
                found.setdefault(name, []).append(figures)
    return {name: _median(figures) for name, figures in found.items()}


async def compare_on(name: str, messages: int, rounds: int) -> dict[str, Figures]:
    """Run `compare` on one of `DATABASES`."""
    async with DATABASES[name]() as database:
        return await compare(database, messages, rounds)


def _median(figures: Sequence[Figures]) -> Figures:
    columns = zip(*map(attrs.astuple, figures), strict=True)
    return Figures(*map(statistics.median, columns))


async def main() -> None:
    """Run the benchmark with command line options, and print its results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("databases", nargs="*", default=list(DATABASES), metavar="DATABASE")
    given = parser.parse_args()
    for name in given.databases:
        figures = await compare_on(name, given.messages, given.rounds)
        print(f"\n{name:28}{'messages/s':>12}{'cpu us':>9}{'p50 ms':>9}{'p99 ms':>9}")
        for way, each in figures.items():
            print(
                f"{way:28}{each.per_second:12.0f}{each.cpu_us:9.0f}"
                f"{each.p50_ms:9.2f}{each.p99_ms:9.2f}"
            )
        together, apart = figures[TOGETHER], figures["64 callers, a commit each"]
        alone, plain = figures["one caller"], figures["a plain commit"]
        print(f"shared transactions: {together.per_second / apart.per_second:.1f} times as many")
        print(f"one caller's p99: {alone.p99_ms / plain.p99_ms:.2f} of a plain commit's")


if __name__ == "__main__":
    uvloop.run(main())
