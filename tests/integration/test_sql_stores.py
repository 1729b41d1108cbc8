"""The durable stores beyond their contracts: schemas, ownership, concurrency, outages."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncpg
import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.sql import ClauseElement

from socketio_app.adapters.sql import migrations
from socketio_app.adapters.sql.message_columns import (
    MESSAGE_COLUMN_NAMES,
    MESSAGE_COLUMNS,
    message_of,
    message_row,
)
from socketio_app.adapters.sql.migrations import HEAD, VERSION_TABLE, SchemaError, migrate_postgres
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.schema import metadata
from socketio_app.adapters.sql.sqlite.file import StoreInUseError
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.history import Window
from socketio_app.domain.identifiers import MessageId, RoomId, UserId
from socketio_app.domain.messaging import Message, Stored
from tests.builders import ADA, BOB, NOON, draft
from tests.databases import postgres_database
from tests.servers import postgres

pytestmark = pytest.mark.anyio

LOBBY = Room(RoomId("lobby"))
PAIR = Pair.of(ADA, BOB)


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "chat.db", rooms_per_user=10)
    await store.start()
    yield store
    await store.close()


def differences(connection: Connection) -> object:
    """Return how the migrated schema differs from the declared tables."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return compare_metadata(context, metadata)


async def test_migrations_create_the_declared_tables_on_sqlite(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    del sqlite
    engine = create_engine(f"sqlite:///{tmp_path}/chat.db")

    with engine.connect() as connection:
        assert differences(connection) == []

    engine.dispose()


async def test_migrations_create_the_declared_tables_on_postgresql() -> None:
    async with postgres_database() as url:
        engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))

        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []

        await engine.dispose()


async def test_data_is_complete_after_a_restart(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "chat.db", rooms_per_user=10)
    await first.start()
    await first.rooms.join(LOBBY.room_id, ADA, NOON)
    stored = await first.messages.append(draft(LOBBY, client_message_id="m1"))
    waiting = await first.messages.append(draft(Pair.of(ADA, BOB)))
    await first.close()

    second = SqliteStore(tmp_path / "chat.db", rooms_per_user=10)
    await second.start()

    assert second.epoch == first.epoch
    assert await second.rooms.is_member(LOBBY.room_id, ADA)
    retried = await second.messages.append(draft(LOBBY, client_message_id="m1"))
    assert (retried.message, retried.duplicate) == (stored.message, True)
    assert (await second.messages.append(draft(LOBBY))).message.seq == 2
    assert list(await second.deliveries.undelivered(BOB, 10)) == [waiting.message]
    await second.close()


async def test_memberships_are_loaded_again_at_every_start(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db", rooms_per_user=10)
    await store.start()
    for user_id in (ADA, BOB):
        await store.rooms.join(RoomId("lobby"), user_id, NOON)
    await store.close()
    connection = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    connection.execute("DELETE FROM chat_member WHERE user_id = ?", (ADA.encode(),))
    connection.close()

    await store.start()
    try:
        assert not await store.rooms.is_member(RoomId("lobby"), ADA)
        assert await store.rooms.member_count(RoomId("lobby")) == 1
        assert await store.rooms.rooms_of(ADA) == ()
    finally:
        await store.close()


async def test_second_owner_of_a_sqlite_file_is_rejected(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    del sqlite
    with pytest.raises(StoreInUseError, match="in use by another process"):
        await SqliteStore(tmp_path / "chat.db", rooms_per_user=10).start()


async def test_sqlite_file_of_a_later_version_is_rejected(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "chat.db", rooms_per_user=10)
    await store.start()
    await store.close()
    with sqlite3.connect(tmp_path / "chat.db") as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    connection.close()

    with pytest.raises(SchemaError, match="9999"):
        await SqliteStore(tmp_path / "chat.db", rooms_per_user=10).start()


async def test_sqlite_store_is_unavailable_while_the_file_is_locked(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    assert sqlite._writer is not None
    sqlite._writer.connection.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable):
        await sqlite.messages.append(draft(LOBBY))
    other.execute("ROLLBACK")
    other.close()

    assert (await sqlite.messages.append(draft(LOBBY))).message.seq == 1


async def test_sqlite_store_is_unavailable_while_the_disk_is_full(sqlite: SqliteStore) -> None:
    assert sqlite._writer is not None
    connection = sqlite._writer.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(Unavailable):
        await asyncio.gather(
            *[sqlite.messages.append(draft(LOBBY, content="x" * 4000)) for _ in range(50)]
        )
    connection.execute("PRAGMA max_page_count = 1000000")

    assert (await sqlite.messages.append(draft(LOBBY))).message.seq == 1


async def test_postgresql_without_chat_tables_is_rejected() -> None:
    async with postgres_database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute(f"DROP TABLE {VERSION_TABLE}")
        await connection.close()

        with pytest.raises(SchemaError, match="socketio-app migrate"):
            await PostgresStore(url, rooms_per_user=10).start()


async def test_concurrent_appends_of_several_stores_leave_no_gaps_and_store_retries_once() -> None:
    async with postgres_database() as url:
        stores = [PostgresStore(url, rooms_per_user=10) for _ in range(3)]
        for store in stores:
            await store.start()

        # Each message is appended through all of them concurrently.
        stored = await asyncio.gather(
            *[
                store.messages.append(draft(LOBBY, client_message_id=f"m{number}"))
                for number in range(500)
                for store in stores
            ]
        )

        for store in stores:
            await store.close()
    assert sum(not each.duplicate for each in stored) == 500
    assert {each.message.seq for each in stored} == set(range(1, 501))
    seqs = {each.message.client_message_id: each.message.seq for each in stored}
    assert all(seqs[each.message.client_message_id] == each.message.seq for each in stored)


async def test_processes_append_ten_thousand_messages_without_gaps_or_duplicates() -> None:
    async with postgres_database() as url:
        # A fifth of them is sent to both, like retries that reach another process.
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.append_worker", url, prefix, str(count)
            )
            for prefix, count in [("one", 4000), ("two", 4000), ("both", 2000), ("both", 2000)]
        ]
        assert [await process.wait() for process in processes] == [0, 0, 0, 0]

        connection = await asyncpg.connect(url)
        rows = await connection.fetch("SELECT seq, client_message_id FROM chat_message ORDER BY 1")
        await connection.close()

    assert [row["seq"] for row in rows] == list(range(1, 10_001))
    assert len({row["client_message_id"] for row in rows}) == 10_000


async def test_store_works_again_after_lost_connections() -> None:
    async with postgres_database() as url:
        store = PostgresStore(url, rooms_per_user=10)
        await store.start()
        assert (await store.messages.append(draft(LOBBY))).message.seq == 1

        await end_all_other_connections(url)
        outcomes = await asyncio.gather(
            *[store.messages.append(draft(LOBBY)) for _ in range(5)], return_exceptions=True
        )

        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert {type(outcome) for outcome in failed} <= {Unavailable}
        stored = await store.messages.append(draft(LOBBY))
        assert stored.message.seq == 1 + (len(outcomes) - len(failed)) + 1
        await store.close()


async def test_store_is_unavailable_while_the_database_is_stopped() -> None:
    with postgres() as server:
        await migrate_postgres(server.url)
        store = PostgresStore(server.url, rooms_per_user=10)
        await store.start()
        await store.messages.append(draft(LOBBY))
        server.stop()
        with pytest.raises(Unavailable):
            await store.messages.append(draft(LOBBY))

        server.start()

        assert (await store.messages.append(draft(LOBBY))).message.seq == 2
        await store.close()


async def test_older_state_of_the_database_does_not_mix_up_conversations() -> None:
    carl, dora = UserId("carl"), UserId("dora")
    async with postgres_database() as url:
        store, other = PostgresStore(url, rooms_per_user=10), PostgresStore(url, rooms_per_user=10)
        await store.start()
        await store.messages.append(draft(Pair.of(ADA, BOB), ADA, "before"))
        # Like a replica that had not received the last transactions.
        connection = await asyncpg.connect(url)
        await connection.execute("DELETE FROM chat_message; DELETE FROM chat_conversation")
        await connection.execute("ALTER SEQUENCE chat_conversation_conversation_id_seq RESTART")
        await connection.close()
        await other.start()
        await other.messages.append(draft(Pair.of(carl, dora), carl, "for dora"))

        stored = await store.messages.append(draft(Pair.of(ADA, BOB), ADA, "for bob"))
        delivered: list[Message] = []
        store.deliveries.delivered([stored.message], delivered.extend)
        await store.deliveries.drain()

        assert stored.message.seq == 1
        assert delivered == [stored.message]
        assert [each.content for each in await messages_of(other, Pair.of(ADA, BOB))] == ["for bob"]
        assert [each.content for each in await messages_of(other, Pair.of(carl, dora))] == [
            "for dora"
        ]
        assert [each.content for each in await other.deliveries.undelivered(dora, 10)] == [
            "for dora"
        ]
        await store.close()
        await other.close()


async def messages_of(store: PostgresStore, conversation: Conversation) -> Sequence[Message]:
    return (await store.messages.page(conversation, Window())).messages


async def test_message_that_the_database_rejects_does_not_affect_others() -> None:
    async with postgres_database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute(
            "ALTER TABLE chat_message ADD CHECK (content <> convert_to('reject this', 'UTF8'))"
        )
        await connection.close()
        store = PostgresStore(url, rooms_per_user=10)
        await store.start()

        first, rejected, last = await asyncio.gather(
            *[
                store.messages.append(draft(LOBBY, ADA, content))
                for content in ("first", "reject this", "last")
            ],
            return_exceptions=True,
        )

        assert isinstance(rejected, asyncpg.CheckViolationError)
        assert isinstance(first, Stored)
        assert isinstance(last, Stored)
        assert [each.content for each in await messages_of(store, LOBBY)] == ["first", "last"]
        await store.close()


async def use_everything(store: PostgresStore) -> None:
    """Call every method of every port."""
    pair = Pair.of(ADA, BOB)
    await store.rooms.join(LOBBY.room_id, ADA, NOON)
    for conversation in (pair, LOBBY):
        message = (await store.messages.append(draft(conversation, BOB))).message
        await store.messages.last_seq(conversation)
        for window in (Window(), Window(before_seq=9), Window(after_seq=0)):
            await store.messages.page(conversation, window)
        await store.messages.newest([(conversation, 0)], 10)
        await store.conversations.mark_read(ADA, conversation, message.seq)
        store.deliveries.delivered([message], lambda _messages: None)
    await store.deliveries.undelivered(ADA, 10)
    for before_activity in (None, 9):
        await store.conversations.of_user(ADA, 10, before_activity)
        await store.conversations.recent(ADA, 10, before_activity)
    await store.rooms.is_member(LOBBY.room_id, ADA)
    await store.rooms.member_count(LOBBY.room_id)
    await store.rooms.rooms_of(ADA)
    await store.deliveries.drain()
    await store.rooms.leave(LOBBY.room_id, ADA)
    outbox = store.capabilities.outbox
    assert outbox is not None
    await outbox.find([MessageId("none")])
    await outbox.page(None, 10)
    await outbox.remove([MessageId("none")])


async def test_statements_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with postgres_database() as url:
        store = PostgresStore(url, rooms_per_user=10)
        await store.start()
        await use_everything(store)
        compiled: list[ClauseElement] = []
        monkeypatch.setattr(ClauseElement, "compile", lambda self, **_: compiled.append(self))

        await use_everything(store)

        assert compiled == []
        await store.close()


async def end_all_other_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    await connection.close()


def test_head_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))

    assert scripts.get_current_head() == HEAD


def test_columns_of_messages_are_those_of_their_rows() -> None:
    stored = draft(client_message_id="1").at(5)
    row = message_row(draft(client_message_id="1"), 5)

    assert len(row) == len(MESSAGE_COLUMNS)
    named = dict(zip(MESSAGE_COLUMN_NAMES.split(", "), row, strict=True))
    assert (named["seq"], named["client_message_id"]) == (5, b"1")
    assert msgspec.structs.replace(message_of(PAIR, row), message_id=stored.message_id) == stored
