"""No query scans a whole table, or reads more rows than necessary, on either database."""

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import attrs
import pytest
from sqlalchemy import Executable
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement

from benchmarks.large_stores.filling import ADA, Size, fill_postgres, fill_sqlite
from socketio_app.adapters.sql import conversation_statements, statements, undelivered
from socketio_app.adapters.sql.postgres import (
    activity as postgres_activity,
)
from socketio_app.adapters.sql.postgres import (
    append as postgres_append,
)
from socketio_app.adapters.sql.postgres import (
    conversations as postgres_conversations,
)
from socketio_app.adapters.sql.postgres import (
    deliveries as postgres_deliveries,
)
from socketio_app.adapters.sql.postgres import (
    messages as postgres_messages,
)
from socketio_app.adapters.sql.postgres import (
    rooms as postgres_rooms,
)
from socketio_app.adapters.sql.sqlite import reader as sqlite_reader
from socketio_app.adapters.sql.sqlite import writer as sqlite_writer
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.identifiers import RoomId
from tests.builders import draft
from tests.databases import postgres_database

pytestmark = pytest.mark.anyio

ID = b"someone"

SHARED = [
    conversation_statements.changes(ID, 5, 5, 10),
    conversation_statements.states(ID, 10, None),
    conversation_statements.states(ID, 10, 5),
    conversation_statements.states_with_messages(ID, 10, 5),
    statements.page(1, 10, None, None),
    statements.page(1, 10, 5, None),
    statements.page(1, 10, None, 5),
    statements.conversation_at(ID, None, None),
    statements.conversation_at(None, ID, ID),
]
"""Statements that all databases share."""

ON_SQLITE: list[tuple[str, Sequence[Any] | Mapping[str, Any]]] = [
    (sqlite_reader.WAITING_PAIRS, {"user_id": ID, "limit": 10}),
    (sqlite_reader.UNDELIVERED, [1, 0, 5, 0, ID, 10]),
    (sqlite_reader.NEWEST_FIRST, [1, 0, 5]),
    (sqlite_reader.FIND_ROOM, [ID]),
    (sqlite_reader.FIND_PAIR, [ID, ID]),
    (sqlite_reader.NEWEST, [1, 0, 10]),
    (sqlite_writer._FIND_ROOM, [ID]),
    (sqlite_writer._FIND_PAIR, [ID, ID]),
    (sqlite_writer._FIND_RETRIED, [1, ID, ID]),
    (sqlite_writer._FIND_READ, [ID, 1]),
    (sqlite_writer._STORE_CONVERSATION, [1, 1, 1, 1, 1]),
    (sqlite_writer._LEAVE, [ID, ID]),
    (sqlite_writer._STORE_SENT, [1, ID, ID]),
    (sqlite_writer._INCREMENT_MEMBER_COUNT, [1]),
    (sqlite_writer._DECREMENT_MEMBER_COUNT, [ID]),
]


def scanned_tables(plan: Sequence[Sequence[Any]], query: str) -> set[str]:
    """Return the tables that SQLite scans completely, by their names in a query.

    SQLite reports the same for the results of a subquery, which are ignored here.
    """
    names = re.findall(r"\b(chat_\w+)(?:\s+(?:AS\s+)?(\w+))?", query)
    tables = {name for pair in names for name in pair}
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
    (postgres_rooms._INCREMENT_MEMBER_COUNT, [1]),
    (postgres_rooms._DECREMENT_MEMBER_COUNT, [ID]),
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


async def test_table_scan_on_sqlite_is_detected(sqlite_file: sqlite3.Connection) -> None:
    for query, table in (
        ("SELECT * FROM chat_message WHERE content = 'x'", "chat_message"),
        ("SELECT count(*) FROM chat_member AS member WHERE joined_at > 5", "member"),
    ):
        plan = sqlite_file.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()

        assert scanned_tables(plan, query) == {table}


async def test_no_query_on_sqlite_scans_a_table(sqlite_file: sqlite3.Connection) -> None:
    shared = [compiled(statement, sqlite.dialect()) for statement in SHARED]

    for query, values in [*shared, *ON_SQLITE]:
        plan = sqlite_file.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()

        assert plan
        assert scanned_tables(plan, query) == set(), query


PAIRS = Size(conversations=5000, messages=10_000, max_rooms=0)
"""A user with far more conversations than a page has."""

_ADA = ADA.encode()
_PAGES = [
    conversation_statements.states(_ADA, 10, None),
    conversation_statements.states(_ADA, 10, PAIRS.last_activity - 2),
    conversation_statements.states_with_messages(_ADA, 10, None),
    conversation_statements.changes(_ADA, PAIRS.last_activity, PAIRS.last_activity, 10),
    conversation_statements.changes(_ADA, PAIRS.last_activity - 5, PAIRS.last_activity - 5, 10),
]

MAX_ROWS_READ = 100
"""Ten rows per page, in each of a few tables."""


async def test_number_of_rows_that_a_page_reads_on_postgresql_is_limited() -> None:
    dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
    pages = [compiled(statement, dialect) for statement in _PAGES]

    async with postgres_database() as url:
        await fill_postgres(url, PAIRS)
        connection = await asyncpg.connect(url)
        await connection.execute("DELETE FROM chat_cursor")
        for query, values in [*pages, (undelivered.WAITING_PAIRS, [_ADA, 10])]:
            found = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *values)
            (plan,) = json.loads(found)

            # The last query reads most of its rows to count examined pairs.
            assert rows_read(plan["Plan"]) <= MAX_ROWS_READ + 2 * undelivered.MIN_EXAMINED, query
        await connection.close()


def rows_read(plan: dict[str, Any]) -> int:
    """Return the number of rows read from tables, including those removed by filters."""
    rows = 0
    if "Scan" in plan["Node Type"] and plan.get("Relation Name", "").startswith("chat_"):
        each = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        rows = each * plan["Actual Loops"]
    return int(rows) + sum(rows_read(child) for child in plan.get("Plans", ()))


async def test_cost_of_a_page_on_sqlite_does_not_grow_with_the_number_of_conversations(
    tmp_path: Path,
) -> None:
    steps: list[list[int]] = []
    for size in (attrs.evolve(PAIRS, conversations=PAIRS.conversations // 10), PAIRS):
        path = tmp_path / f"{size.conversations}.db"
        store = SqliteStore(path, rooms_per_user=10)
        await store.start()
        await store.close()
        fill_sqlite(path, size)
        connection = sqlite3.connect(path)
        connection.execute("DELETE FROM chat_cursor")
        pages: list[tuple[str, Any]] = [
            compiled(statement, sqlite.dialect()) for statement in _PAGES
        ]
        pages.append((sqlite_reader.WAITING_PAIRS, {"user_id": _ADA, "limit": 10}))
        steps.append([steps_of(connection, query, values) for query, values in pages])
        connection.close()

    assert all(large <= 1.5 * small for small, large in zip(*steps, strict=True)), steps


def steps_of(connection: sqlite3.Connection, query: str, values: Sequence[Any]) -> int:
    """Return the number of instructions of SQLite's virtual machine that a query takes."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    connection.set_progress_handler(count, 1)
    connection.execute(query, values).fetchall()
    connection.set_progress_handler(None, 0)
    return steps


async def test_no_query_on_postgresql_has_to_scan_a_table() -> None:
    dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
    shared = [compiled(statement, dialect) for statement in SHARED]

    async with postgres_database() as url:
        connection = await asyncpg.connect(url)
        # Scanning is best for empty tables; this shows the plans for large ones.
        await connection.execute("SET enable_seqscan = off")
        for query, values in [*shared, *ON_POSTGRESQL]:
            plan = [row[0] for row in await connection.fetch(f"EXPLAIN {query}", *values)]

            assert plan
            assert [line for line in plan if "Seq Scan on chat_" in line] == [], query
        await connection.close()


async def test_append_does_not_compare_the_messages_of_a_batch_with_each_other() -> None:
    async with postgres_database() as url:
        connection = await asyncpg.connect(url, server_settings=dict(postgres_messages.APPENDING))
        rooms: list[Conversation] = [Room(RoomId(f"room{number}")) for number in range(100)]
        ids = await postgres_append.find_or_insert(connection, rooms)
        plans: list[str] = []
        connection.add_log_listener(lambda _, message: plans.append(str(message)))
        await connection.execute(_EXPLAIN_ALL)

        await postgres_append.append(connection, [draft(each) for each in rooms], ids)

        assert [plan for plan in plans if "INSERT INTO chat_message" in plan]
        removed = [re.findall(r"Removed by (?:Join )?Filter: (\d+)", plan) for plan in plans]
        assert sum(int(each) for found in removed for each in found) <= 10 * len(rooms)
        await connection.close()


_EXPLAIN_ALL = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_analyze = on;
    SET client_min_messages = log
"""
