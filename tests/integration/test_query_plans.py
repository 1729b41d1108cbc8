"""No query of the stores' reads a whole table, on either database."""

import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Executable
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement

from socketio_app.adapters.sql import (
    conversation_statements,
    postgres_activity,
    postgres_append,
    postgres_conversations,
    postgres_deliveries,
    postgres_messages,
    postgres_rooms,
    sqlite_reader,
    sqlite_writer,
    statements,
    undelivered,
)
from socketio_app.adapters.sql.sqlite_store import SqliteStore
from tests.databases import postgres_database

pytestmark = pytest.mark.anyio

ID = b"someone"

SHARED = [
    conversation_statements.changes(ID, 5, 5, 10),
    conversation_statements.standings(ID, 10, None),
    conversation_statements.standings(ID, 10, 5),
    conversation_statements.standings_with_messages(ID, 10, 5),
    statements.page(1, 10, None, None),
    statements.page(1, 10, 5, None),
    statements.page(1, 10, None, 5),
    statements.conversation_at(ID, None, None),
    statements.conversation_at(None, ID, ID),
]
"""What every database is asked in the same words."""

ON_SQLITE: list[tuple[str, Sequence[Any]]] = [
    (sqlite_reader.WAITING_PAIRS, [ID, 10]),
    (sqlite_reader.UNDELIVERED, [1, 0, 5, 0, ID, 10]),
    (sqlite_reader.NEWEST_FIRST, [1, 0, 5]),
    (sqlite_reader.FIND_ROOM, [ID]),
    (sqlite_reader.FIND_PAIR, [ID, ID]),
    (sqlite_reader.NEWEST, [1, 0, 10]),
    (sqlite_writer._FIND_ROOM, [ID]),
    (sqlite_writer._FIND_PAIR, [ID, ID]),
    (sqlite_writer._FIND_RETRIED, [1, ID, ID]),
    (sqlite_writer._FIND_READ, [ID, 1]),
    (sqlite_writer._STORE_HEAD, [1, 1, 1, 1, 1]),
    (sqlite_writer._LEAVE, [ID, ID]),
    (sqlite_writer._STORE_SENT, [1, ID, ID]),
    (sqlite_writer._COUNT_ONE_MORE, [1]),
    (sqlite_writer._COUNT_ONE_LESS, [ID]),
]


def tables_read_whole(plan: Sequence[Sequence[Any]], query: str) -> set[str]:
    """The tables, by their names in a query, that SQLite goes through from end to end.

    It says the same of the rows that an inner query has found, which is meant to be.
    """
    named = re.findall(r"\b(chat_\w+)(?:\s+(?:AS\s+)?(\w+))?", query)
    tables = {name for pair in named for name in pair}
    scans = [detail.split() for *_, detail in plan if detail.startswith("SCAN ")]
    return {words[1] for words in scans} & tables


ON_POSTGRESQL: list[tuple[str, Sequence[Any]]] = [
    (undelivered.WAITING_PAIRS, [ID, 10]),
    (postgres_activity.NEW_MESSAGES, [[ID], [None], [None], [1], [0], 0, 10]),
    (postgres_deliveries._UNDELIVERED, [[1], [0], [5], [False], ID, 10]),
    (postgres_deliveries._MOVE_DELIVERED_ACTIVITY, [ID, 5]),
    (postgres_append._FIND_RETRIED, [[1], [ID], [ID]]),
    (postgres_append._FIND_CONVERSATIONS, [[ID], [None], [None]]),
    (postgres_conversations._FIND_READ, [ID, 1]),
    (postgres_deliveries._LOCK, [[ID], [1]]),
    (postgres_deliveries._MOVE, [[ID], [1], [1]]),
    (postgres_messages.NEWEST, [[ID], [None], [None], [0], 10]),
    (postgres_rooms._IS_MEMBER, [ID, ID]),
    (postgres_rooms._EPOCH_AND_ROOMS, [ID]),
    (postgres_rooms._COUNT, [ID]),
    (postgres_rooms._COUNT_ROOMS, [ID]),
    (postgres_rooms._LEAVE, [ID, ID]),
    (postgres_rooms._LOCK_AND_COUNT, [ID]),
    (postgres_rooms._COUNT_AND_LAST, [1]),
    (postgres_rooms._COUNT_ONE_MORE, [1]),
    (postgres_rooms._COUNT_ONE_LESS, [ID]),
    (postgres_rooms._JOIN, [ID, ID, 0, 1]),
]


def compiled(statement: Executable, dialect: Any) -> tuple[str, list[Any]]:
    assert isinstance(statement, ClauseElement)
    done = statement.compile(dialect=dialect)
    return str(done), [done.params[name] for name in getattr(done, "positiontup", None) or ()]


@pytest.fixture
async def sqlite_file(tmp_path: Path) -> AsyncIterator[sqlite3.Connection]:
    store = SqliteStore(tmp_path / "chat.db", rooms_per_user=10)
    await store.start()
    await store.close()
    connection = sqlite3.connect(tmp_path / "chat.db")
    yield connection
    connection.close()


async def test_a_table_that_sqlite_reads_whole_is_noticed(sqlite_file: sqlite3.Connection) -> None:
    for query, table in (
        ("SELECT * FROM chat_message WHERE content = 'x'", "chat_message"),
        ("SELECT count(*) FROM chat_member AS member WHERE joined_at > 5", "member"),
    ):
        plan = sqlite_file.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()

        assert tables_read_whole(plan, query) == {table}


async def test_no_query_on_sqlite_reads_a_whole_table(sqlite_file: sqlite3.Connection) -> None:
    shared = [compiled(statement, sqlite.dialect()) for statement in SHARED]

    for query, values in [*shared, *ON_SQLITE]:
        plan = sqlite_file.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()

        assert plan
        assert tables_read_whole(plan, query) == set(), query


async def test_no_query_on_postgresql_has_to_read_a_whole_table() -> None:
    dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
    shared = [compiled(statement, dialect) for statement in SHARED]

    async with postgres_database() as url:
        connection = await asyncpg.connect(url)
        # A table of nothing is best read whole; this says what would be done with a large one.
        await connection.execute("SET enable_seqscan = off")
        for query, values in [*shared, *ON_POSTGRESQL]:
            plan = [row[0] for row in await connection.fetch(f"EXPLAIN {query}", *values)]

            assert plan
            assert [line for line in plan if "Seq Scan on chat_" in line] == [], query
        await connection.close()
