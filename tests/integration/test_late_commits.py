"""Catching up on PostgreSQL while other processes commit out of order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from random import Random

import asyncpg
import attrs
import pytest

from socketio_app.adapters.sql.postgres.activity import MARK_TIMEOUT_SECONDS, ActivityMarks
from socketio_app.adapters.sql.postgres.append import append, find_or_insert
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.application.commands import CatchUp, CaughtUp
from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import UserId
from tests.builders import ADA, BOB, EVE, LOBBY, NOON, draft
from tests.chat_harness import LiveChat
from tests.databases import postgres_database

pytestmark = pytest.mark.anyio

TO_BOB, TO_EVE = Pair.of(ADA, BOB), Pair.of(ADA, EVE)


@attrs.define
class Process:
    """A chat on a database that other processes share."""

    url: str
    store: PostgresStore
    live: LiveChat
    since: CatchUpCursor

    async def catch_up(self) -> CaughtUp:
        """Catch up as Ada, from her last `since`."""
        answer = await self.live.host(ADA, CatchUp(self.store.epoch, since=self.since))
        assert answer.since is not None
        self.since = answer.since
        return answer

    async def seqs(self) -> dict[Conversation, list[int]]:
        """Return the `seq`s of Ada's new messages by conversation."""
        answer = await self.catch_up()
        return {
            each.state.conversation: [message.seq for message in each.messages]
            for each in answer.conversations
        }


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    async with postgres_database() as url:
        store = PostgresStore(url, rooms_per_user=10)
        await store.start()
        mark = await store.activity.mark()
        while mark.settled is None:
            mark = await store.activity.mark()
        yield Process(
            url, store, LiveChat(store=store), CatchUpCursor.at(store.epoch, mark.settled)
        )
        await store.close()


@asynccontextmanager
async def uncommitted_append(
    url: str, conversation: Conversation, sender: UserId
) -> AsyncIterator[None]:
    """Append a message as another process, in a transaction that commits at the end."""
    connection = await asyncpg.connect(url)
    try:
        ids = await find_or_insert(connection, [conversation])
        async with connection.transaction():
            await append(connection, [draft(conversation, sender)], ids)
            yield
    finally:
        await connection.close()


async def test_late_commit_is_in_a_later_answer(process: Process) -> None:
    async with uncommitted_append(process.url, TO_BOB, BOB):
        await process.store.messages.append(draft(TO_EVE, EVE))
        assert await process.seqs() == {TO_EVE: [1]}

    assert (await process.seqs())[TO_BOB] == [1]


async def test_connection_that_opens_before_a_late_commit_finds_it(process: Process) -> None:
    async with uncommitted_append(process.url, TO_BOB, BOB):
        await process.store.messages.append(draft(TO_EVE, EVE))
        await process.catch_up()
        recent = await process.store.activity.recent_mark()

    assert recent.settled is not None
    process.since = CatchUpCursor.at(process.store.epoch, recent.settled)
    assert (await process.seqs())[TO_BOB] == [1]


async def test_late_commit_between_two_answers_is_found(process: Process) -> None:
    others = [UserId(f"user{number}") for number in range(250)]
    for other in others:
        await process.store.messages.append(draft(Pair.of(ADA, other), other))
    given: set[Conversation] = set()

    async with uncommitted_append(process.url, TO_BOB, BOB):
        await process.store.messages.append(draft(TO_EVE, EVE))
        first = await process.catch_up()
    assert first.has_more
    for _ in range(10):
        answer = await process.catch_up()
        given |= {each.state.conversation for each in answer.conversations}
        if not answer.has_more and TO_BOB in given:
            break

    given |= {each.state.conversation for each in first.conversations}
    assert given == {TO_BOB, TO_EVE, *[Pair.of(ADA, other) for other in others]}


async def test_late_join_is_found(process: Process) -> None:
    other = PostgresStore(process.url, rooms_per_user=10)
    await other.start()
    await other.rooms.join(LOBBY, BOB, NOON)
    await other.messages.append(draft(Room(LOBBY), BOB))
    connection = await asyncpg.connect(process.url)
    async with connection.transaction():
        # The join has drawn its activity, and now waits to store its read cursor.
        await connection.execute("LOCK TABLE chat_cursor IN EXCLUSIVE MODE")
        joining = asyncio.create_task(other.rooms.join(LOBBY, ADA, NOON))
        while not await connection.fetchval(_IS_WAITING):
            await asyncio.sleep(0)
        await other.messages.append(draft(TO_EVE, EVE))
        assert TO_EVE in await process.seqs()

    await joining
    assert Room(LOBBY) in await process.seqs()
    await connection.close()
    await other.close()


_IS_WAITING = """
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE NOT granted AND relation = 'chat_cursor'::regclass
    )
"""


async def test_foreign_transaction_delays_marks_up_to_the_timeout_only(
    process: Process,
) -> None:
    now = 1000.0
    marks = ActivityMarks(process.store.activity._pool, lambda: now)
    connection = await asyncpg.connect(process.url)
    async with connection.transaction():
        await connection.execute("SELECT pg_current_xact_id()")
        await process.store.messages.append(draft(TO_BOB, BOB))
        unsettled = await marks.take()
        assert unsettled.settled is None

        now += MARK_TIMEOUT_SECONDS + 1
        later = await marks.take()

    assert later.settled == unsettled.latest
    await connection.close()


async def test_number_of_unsettled_marks_is_limited(process: Process) -> None:
    now = 1000.0
    marks = ActivityMarks(process.store.activity._pool, lambda: now)
    connection = await asyncpg.connect(process.url)
    async with connection.transaction():
        await connection.execute("SELECT pg_current_xact_id()")
        for _ in range(300):
            await marks.take()
            now += 0.5

    assert len(marks._waiting) <= 65
    await connection.close()


async def test_marks_are_cleared_when_the_database_identity_changes(process: Process) -> None:
    await process.store.messages.append(draft(TO_BOB, BOB))
    before = await process.store.activity.mark()
    connection = await asyncpg.connect(process.url)
    # As after a restore from a backup: another epoch, and lower activities.
    await connection.execute("UPDATE chat_store SET epoch = 'another'")
    await connection.execute("SELECT setval('chat_activity', 1, false)")
    await connection.close()

    await process.store.rooms.rooms_of(ADA)
    after = await process.store.activity.recent_mark()

    assert process.store.epoch == "another"
    assert after.latest < before.latest
    assert after.settled in {None, after.latest}


@pytest.mark.parametrize("seed", range(2))
async def test_client_that_catches_up_under_load_misses_nothing(
    process: Process, seed: int
) -> None:
    random = Random(seed)  # noqa: S311  (not for secrets)
    people = [UserId(f"user{number}") for number in range(6)]
    writers, each, numbers = 6, 12, count()
    sent: dict[Conversation, int] = {}

    async def write(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        for _ in range(each):
            person = people[next(numbers) % len(people)]
            conversation = Pair.of(ADA, person)
            ids = await find_or_insert(connection, [conversation])
            transaction = connection.transaction()
            await transaction.start()
            (stored,) = await append(connection, [draft(conversation, person)], ids)
            await connection.execute("SELECT pg_sleep($1)", random.random() * 0.03)
            if random.random() < 0.1:
                await transaction.rollback()
            else:
                await transaction.commit()
                seq = stored.message.seq
                sent[conversation] = max(sent.get(conversation, 0), seq)

    found: dict[Conversation, set[int]] = {}

    async def catch_up() -> None:
        for conversation, seqs in (await process.seqs()).items():
            found.setdefault(conversation, set()).update(seqs)

    async with AsyncExitStack() as stack:
        connections = [await asyncpg.connect(process.url) for _ in range(writers)]
        for connection in connections:
            stack.push_async_callback(connection.close)
        writing = asyncio.gather(*[write(connection) for connection in connections])
        while not writing.done():
            await catch_up()
        await writing
    await catch_up()

    assert found == {conversation: set(range(1, seq + 1)) for conversation, seq in sent.items()}
