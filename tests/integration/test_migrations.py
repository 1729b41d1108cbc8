"""Migration of databases with data of an earlier schema."""

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from socketio_app.adapters.sql import migrations
from socketio_app.adapters.sql.migrations import migrate, revision
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Pair, Room
from socketio_app.domain.history import Window
from tests.builders import ADA, BOB, EVE, LOBBY, draft
from tests.databases import postgres_database

pytestmark = pytest.mark.anyio

PAIR = Pair.of(ADA, BOB)

AT_0001 = (
    """
    INSERT INTO chat_conversation (conversation_id, room_id, first_user_id, second_user_id,
        last_seq, last_seq_to_first, last_seq_to_second, activity)
    VALUES (101, 'lobby', NULL, NULL, 4, 0, 0, 5), (102, NULL, 'ada', 'bob', 2, 0, 2, 7)
    """,
    """
    INSERT INTO chat_message (conversation_id, seq, message_id, from_user_id, content, created_at)
    VALUES (101, 1, 'm1', 'ada', 'one', 0), (101, 2, 'm2', 'ada', 'two', 0),
        (101, 3, 'm3', 'bob', 'three', 0), (101, 4, 'm4', 'bob', 'four', 0),
        (102, 1, 'm5', 'ada', 'five', 0), (102, 2, 'm6', 'ada', 'six', 0)
    """,
    """
    INSERT INTO chat_member (room_id, user_id, joined_at)
    VALUES ('lobby', 'ada', 0), ('lobby', 'bob', 0)
    """,
    """
    INSERT INTO chat_cursor (user_id, conversation_id, delivered_seq, read_seq)
    VALUES ('bob', 102, 1, 1), ('bob', 101, 0, 1)
    """,
)
"""Data of schema 0001: a room with two members, and a pair."""


def create_and_fill_0001(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")
    is_sqlite = connection.dialect.name == "sqlite"
    for statement in AT_0001:
        # SQLite has another syntax for bytes, and stores values of any type.
        connection.execute(text(_with_bytes(statement) if is_sqlite else statement))
    if not is_sqlite:
        connection.execute(text("SELECT setval('chat_activity', 7)"))


def _with_bytes(statement: str) -> str:
    for name in ("lobby", "ada", "bob", "one", "two", "three", "four", "five", "six"):
        statement = statement.replace(f"'{name}'", f"CAST('{name}' AS BLOB)")
    return statement


async def check(store: Store) -> None:
    """Check that the data is complete, and that the store works."""
    assert await store.rooms.member_count(LOBBY) == 2
    assert (await store.rooms.leave(LOBBY, BOB)).member_count == 1
    page = await store.messages.page(Room(LOBBY), Window())
    assert [each.content for each in page.messages] == ["one", "two", "three", "four"]
    (waiting,) = await store.deliveries.undelivered(BOB, 10)
    assert waiting.content == "six"
    states = await store.conversations.of_user(ADA, 10)
    assert [each.conversation for each in states] == [PAIR, Room(LOBBY)]
    assert [each.unread_count for each in states] == [0, 2]
    assert [each.unread_count for each in await store.conversations.of_user(BOB, 10)] == [1]
    await store.messages.append(draft(Pair.of(ADA, EVE)))
    assert (await store.conversations.of_user(ADA, 1))[0].activity > states[0].activity


@pytest.fixture
def sqlite_at_0001(tmp_path: Path) -> Path:
    path = tmp_path / "chat.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        create_and_fill_0001(connection)
    engine.dispose()
    return path


async def test_sqlite_file_of_schema_0001_is_migrated_at_start(sqlite_at_0001: Path) -> None:
    store = SqliteStore(sqlite_at_0001, rooms_per_user=10)

    await store.start()

    await check(store)
    await store.close()
    with sqlite3.connect(sqlite_at_0001) as connection:
        assert connection.execute("SELECT member_count FROM chat_conversation").fetchone() == (1,)
    connection.close()


async def test_postgresql_database_of_schema_0001_is_migrated() -> None:
    async with postgres_database() as url:
        engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
            await connection.run_sync(create_and_fill_0001)

        async with engine.begin() as connection:
            await connection.run_sync(migrate)

        async with engine.connect() as connection:
            assert await connection.run_sync(revision) == migrations.HEAD
        await engine.dispose()
        store = PostgresStore(url, rooms_per_user=10)
        await store.start()
        await check(store)
        await store.close()
