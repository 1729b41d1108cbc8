"""The store in a SQLite file: the embedded default, durable, for one process."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.migrations import migrate, read_epoch
from socketio_app.adapters.sql.sqlite_file import Ownership, open_connection
from socketio_app.adapters.sql.sqlite_ports import (
    Commits,
    SqliteDeliveries,
    SqliteMessages,
    SqliteRooms,
)
from socketio_app.adapters.sql.sqlite_writer import SqliteWriter, Write
from socketio_app.adapters.sql.statements import all_memberships
from socketio_app.domain.identifiers import RoomId, UserId

MOST_WAITING = 20_000
"""Writes that may wait for the disk; beyond, sends are refused as `unavailable`."""

LARGEST_BATCH = 1_000
"""Writes in one transaction: what gathers in some milliseconds, and is lost together."""


class SqliteStore:
    """Keeps everything in a file. Implements the `Store` port.

    All writes go through one thread, which commits them in groups; reads that must see what was
    written before them go the same way. Memberships are in memory besides: the process owns the
    file, so nobody else changes them.
    """

    def __init__(self, path: Path, rooms_per_user: int) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._commits: Commits = GroupCommit(
            self._commit, most_waiting=MOST_WAITING, largest_batch=LARGEST_BATCH
        )
        self._ownership: Ownership | None = None
        self._writer: SqliteWriter | None = None
        self.epoch = ""
        self.rooms = SqliteRooms(self._commits, rooms_per_user)
        self.messages = SqliteMessages(self._commits)
        self.deliveries = SqliteDeliveries(self._commits)

    async def start(self) -> None:
        """Open the file, made where there is none, and bring its schema up to date.

        Doing it again changes nothing.

        Raises:
            StoreInUseError: another process owns it.
        """
        if self._writer is not None:
            return
        self._ownership = Ownership(self._path)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    async def close(self) -> None:
        """Commit what waits, and close the file."""
        await self._commits.drain()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()
        if self._ownership is not None:
            self._ownership.give_up()

    async def _commit(self, writes: Sequence[Write]) -> Sequence[Any]:
        if self._writer is None:
            raise RuntimeError("the store was not started: serve the application's lifespan")
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._writer.commit, writes
        )

    def _open(self) -> None:
        connection = open_connection(self._path)
        engine = create_engine(
            "sqlite://",
            creator=lambda: connection,
            poolclass=StaticPool,
            isolation_level="AUTOCOMMIT",  # the writer says itself where a transaction begins
        )
        tables = engine.connect()
        connection.execute("BEGIN IMMEDIATE")
        migrate(tables)
        connection.execute("COMMIT")
        self.epoch = read_epoch(tables)
        for room_id, user_id in tables.execute(all_memberships()).all():
            self.rooms.remember(RoomId(room_id.decode()), UserId(user_id.decode()))
        self._writer = SqliteWriter(connection, tables)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
