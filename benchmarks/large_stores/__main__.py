"""Measure each command on large stores, and write the section of docs/benchmarks.md.

Usage: python -m benchmarks.large_stores [--messages N] [--runs N] [--print] [SIZE ...]
"""

import argparse
import asyncio
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import uvloop

from benchmarks.large_stores.commands import Bench, Figures
from benchmarks.large_stores.filling import FORGET_DELIVERIES, Size, fill_postgres, fill_sqlite
from benchmarks.report.large_stores import section, with_section
from benchmarks.servers import HERE
from socketio_app.adapters.sql.migrations import migrate_postgres
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from tests.servers import postgres

PAGE = HERE.parent / "docs/benchmarks.md"


async def on_sqlite(size: Size, runs: int) -> Mapping[str, Figures]:
    """Measure on a database file of a size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.db"
        made = SqliteStore(path, rooms_per_user=size.rooms + 10)
        await made.start()
        await made.close()
        fill_sqlite(path, size)
        store = SqliteStore(path, rooms_per_user=size.rooms + 10)
        await store.start()
        figures = await Bench(store, size, runs).delivered()
        await store.close()
        with sqlite3.connect(path) as connection:
            for statement in FORGET_DELIVERIES:
                connection.execute(statement)
        connection.close()
        await store.start()
        waiting = await Bench(store, size, runs).waiting()
        await store.close()
    return {**figures, **waiting}


async def on_postgres(size: Size, runs: int) -> Mapping[str, Figures]:
    """Measure on a database server that flushes to disk."""
    with postgres(fsync="on") as server:
        await migrate_postgres(server.url)
        await fill_postgres(server.url, size)
        store = PostgresStore(server.url, rooms_per_user=size.rooms + 10)
        await store.start()
        figures = await Bench(store, size, runs).delivered()
        connection = await asyncpg.connect(server.url)
        for statement in FORGET_DELIVERIES:
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()
        waiting = await Bench(store, size, runs).waiting()
        await store.close()
    return {**figures, **waiting}


async def main() -> None:
    """Run the benchmark with command line options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--print", action="store_true", help="write nothing")
    parser.add_argument("conversations", nargs="*", type=int, default=[1_000, 10_000])
    given = parser.parse_args()
    found: dict[str, Mapping[str, Figures]] = {}
    for conversations in given.conversations:
        size = Size(conversations, given.messages)
        for name, measure in (("SQLite", on_sqlite), ("PostgreSQL", on_postgres)):
            found[f"{name}, {conversations:,}"] = await measure(size, given.runs)
    text = section(found, given.messages)
    print(text)
    if not given.print:
        page = await asyncio.to_thread(PAGE.read_text)
        await asyncio.to_thread(PAGE.write_text, with_section(page, text))


if __name__ == "__main__":
    uvloop.run(main())
