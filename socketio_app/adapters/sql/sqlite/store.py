"""The store in a SQLite file: the default; durable, for one process."""

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.migrations import migrate, read_epoch
from socketio_app.adapters.sql.sqlite.activity import SqliteActivity
from socketio_app.adapters.sql.sqlite.conversations import SqliteConversations
from socketio_app.adapters.sql.sqlite.deliveries import SqliteDeliveries
from socketio_app.adapters.sql.sqlite.file import (
    Ownership,
    convert_errors,
    open_connection,
    sqlalchemy_connection,
)
from socketio_app.adapters.sql.sqlite.messages import SqliteMessages
from socketio_app.adapters.sql.sqlite.outbox import SqliteOutbox
from socketio_app.adapters.sql.sqlite.readers import SqliteReaders
from socketio_app.adapters.sql.sqlite.rooms import SqliteRooms
from socketio_app.adapters.sql.sqlite.writer import Commits, SqliteWriter, Write
from socketio_app.adapters.sql.statements import all_memberships
from socketio_app.application.store_capabilities import StoreCapabilities
from socketio_app.domain.identifiers import RoomId, UserId

MAX_WAITING = 20_000
"""Maximum number of waiting writes; further ones are rejected as `unavailable`."""

MAX_BATCH_WRITES = 1_000
"""Maximum number of writes in a transaction: some milliseconds' worth, which fail together."""

MAX_BACKGROUND_WRITES = 8
"""Maximum number of background writes in a transaction; they delay its messages by some
milliseconds."""


class SqliteStore:
    """Implements `Store` in a SQLite file.

    One thread does all writes, and commits them in groups; other threads read. Memberships are also
    in memory: the process owns the file, so no other process changes them.
    """

    def __init__(self, path: Path, rooms_per_user: int) -> None:
        self._path = path
        self._commits: Commits = GroupCommit(
            self._commit,
            max_waiting=MAX_WAITING,
            max_batch_writes=MAX_BATCH_WRITES,
            max_background_writes=MAX_BACKGROUND_WRITES,
        )
        self._ownership: Ownership | None = None
        self._writer: SqliteWriter | None = None
        self._readers = SqliteReaders(path)
        self.epoch = ""
        self.rooms = SqliteRooms(self._commits, rooms_per_user)
        self.messages = SqliteMessages(self._commits, self._readers)
        self.capabilities = StoreCapabilities(
            runs_outside_tasks=True,
            transactions=self._commits,
            append_queue=self.messages,
            outbox=SqliteOutbox(path, self._commits, self._readers, lambda: self.epoch),
        )
        self.deliveries = SqliteDeliveries(self._commits, self._readers, self._committed_activity)
        self.conversations = SqliteConversations(self._commits, self._readers)
        self.activity = SqliteActivity(self._readers, self._committed_activity)

    async def start(self) -> None:
        """Open the file, creating it if it does not exist, and migrate its schema.

        A second call does nothing.

        Raises:
            StoreInUseError: another process owns the file.
            StoreFileError: the file cannot be used or written to.
        """
        if self._writer is not None:
            return
        self._ownership = Ownership(self._path)
        try:
            await self._open_file()
        except BaseException:
            await self.close()
            raise

    async def _open_file(self) -> None:
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        await asyncio.get_running_loop().run_in_executor(self._writing, self._open)
        await self._readers.open()

    async def close(self) -> None:
        """Commit waiting writes, and close the file. The store can be started again."""
        if self._ownership is None:
            return
        await self._commits.drain()
        # The last connection to close checkpoints, and that must be the writer.
        await self._readers.close()
        await asyncio.get_running_loop().run_in_executor(self._writing, self._close)
        self._writing.shutdown()
        self._ownership.release()
        self._ownership = None

    async def check(self) -> None:
        """See `Store.check`."""
        await self._readers.run(lambda reader: reader.check())
        if self._commits.is_failing:
            await self._commits.submit(lambda writer: writer.check())

    async def _commit(self, writes: Sequence[Write]) -> Sequence[Any]:
        if self._writer is None:
            raise RuntimeError(_NOT_STARTED)
        return await asyncio.get_running_loop().run_in_executor(
            self._writing, self._writer.commit, writes
        )

    def _committed_activity(self) -> int:
        if self._writer is None:
            raise RuntimeError(_NOT_STARTED)
        return self._writer.committed_activity

    def _open(self) -> None:
        with convert_errors(self._path):
            connection = open_connection(self._path)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        self._writer = SqliteWriter(connection)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        tables = sqlalchemy_connection(connection)
        connection.execute("BEGIN IMMEDIATE")
        migrate(tables)
        SqliteWriter(connection).check()
        connection.execute("COMMIT")
        self.epoch = read_epoch(tables)
        rows = tables.execute(all_memberships()).all()
        self.rooms.load((RoomId(room.decode()), UserId(user.decode())) for room, user in rows)
        tables.close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


_NOT_STARTED = "the store was not started: run the application's lifespan"
