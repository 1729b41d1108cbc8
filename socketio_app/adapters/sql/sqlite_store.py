"""The store in a SQLite file: the embedded default, durable, for one process."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from socketio_app.adapters.sql.group_commit import GroupCommit, OnCommit
from socketio_app.adapters.sql.migrations import migrate, read_epoch
from socketio_app.adapters.sql.sqlite_file import Ownership, open_connection
from socketio_app.adapters.sql.sqlite_ports import (
    Commits,
    Outcome,
    SqliteConversations,
    SqliteDeliveries,
    SqliteMessages,
    SqliteRooms,
)
from socketio_app.adapters.sql.sqlite_reader import SqliteReader
from socketio_app.adapters.sql.sqlite_writer import SqliteWriter, Write
from socketio_app.adapters.sql.statements import all_memberships
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import RoomId, UserId

MOST_WAITING = 20_000
"""Writes that may wait for the disk; beyond, sends are refused as `unavailable`."""

LARGEST_BATCH = 1_000
"""Writes in one transaction: what gathers in some milliseconds, and is lost together."""


class SqliteStore:
    """Keeps everything in a file. Implements the `Store` port.

    All writes go through one thread, which commits them in groups; another one reads. Memberships
    are in memory besides: the process owns the file, so nobody else changes them.
    """

    def __init__(self, path: Path, rooms_per_user: int) -> None:
        self._path = path
        self._commits: Commits = GroupCommit(
            self._commit, most_waiting=MOST_WAITING, largest_batch=LARGEST_BATCH
        )
        self._ownership: Ownership | None = None
        self._writer: SqliteWriter | None = None
        self._reader: SqliteReader | None = None
        self.epoch = ""
        self.rooms = SqliteRooms(self._commits, rooms_per_user)
        self.messages = SqliteMessages(self._commits, self._read)
        self.deliveries = SqliteDeliveries(self._commits, self._read)
        self.conversations = SqliteConversations(self._commits, self._read)

    async def start(self) -> None:
        """Open the file, made where there is none, and bring its schema up to date.

        Doing it again changes nothing.

        Raises:
            StoreInUseError: another process owns it.
        """
        if self._writer is not None:
            return
        self._ownership = Ownership(self._path)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="sqlite-reader")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writing, self._open)
        await loop.run_in_executor(self._reading, self._open_reader)

    async def close(self) -> None:
        """Commit what waits, and close the file. It can be started again."""
        if self._ownership is None:
            return
        await self._commits.drain()
        loop = asyncio.get_running_loop()
        # The last to leave checkpoints: that must be the writer.
        await loop.run_in_executor(self._reading, self._close_reader)
        await loop.run_in_executor(self._writing, self._close)
        self._reading.shutdown()
        self._writing.shutdown()
        self._ownership.give_up()
        self._ownership = None

    async def check(self) -> None:
        """See `Store.check`."""
        await self._read(lambda reader: reader.check())
        if self._commits.is_failing:
            await self._commits.submit(lambda writer: writer.check())

    def watch_commits(self, on_commit: OnCommit) -> None:
        """Have each transaction told: how many writes it had, and how long it took."""
        self._commits.on_commit = on_commit

    @property
    def waiting_writes(self) -> int:
        """How many writes wait for their transaction."""
        return self._commits.waiting

    async def _commit(self, writes: Sequence[Write]) -> Sequence[Any]:
        if self._writer is None:
            raise RuntimeError(_NOT_STARTED)
        return await asyncio.get_running_loop().run_in_executor(
            self._writing, self._writer.commit, writes
        )

    async def _read(self, read: Callable[[SqliteReader], Outcome], /) -> Outcome:
        if self._reader is None:
            raise RuntimeError(_NOT_STARTED)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._reading, read, self._reader
            )
        except (sqlite3.OperationalError, OperationalError) as error:
            raise Unavailable("the store cannot be read now") from error

    def _open(self) -> None:
        connection = open_connection(self._path)
        tables = _tables(connection)
        connection.execute("BEGIN IMMEDIATE")
        migrate(tables)
        connection.execute("COMMIT")
        self.epoch = read_epoch(tables)
        for room_id, user_id in tables.execute(all_memberships()).all():
            self.rooms.remember(RoomId(room_id.decode()), UserId(user_id.decode()))
        tables.close()
        self._writer = SqliteWriter(connection)

    def _open_reader(self) -> None:
        connection = open_connection(self._path)
        connection.execute("PRAGMA query_only = ON")
        self._reader = SqliteReader(connection, _tables(connection))

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


_NOT_STARTED = "the store was not started: serve the application's lifespan"


def _tables(connection: sqlite3.Connection) -> Connection:
    """A connection as SQLAlchemy sees it; where a transaction begins is not for it to say."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: connection,
        poolclass=StaticPool,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
    )
    return engine.connect()
