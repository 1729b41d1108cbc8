"""The outbox in a SQLite file."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from socketio_app.adapters.sql.host_outbox import HostOutbox
from socketio_app.adapters.sql.sqlite.readers import SqliteReaders
from socketio_app.adapters.sql.sqlite.writer import Commits
from socketio_app.application.outbox import OnCommit, QueuedMessage
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import MessageId
from socketio_app.domain.messaging import Draft

_PRIMARY_CODE: Final = 0xFF
"""The part of an extended result code that is common to all codes of a kind."""


class SqliteOutbox(HostOutbox):
    """Implements `Outbox`."""

    dialect = "sqlite"
    # Python's sqlite3 begins no transaction for a savepoint; releasing the first one then commits.
    commits_savepoints = True

    def __init__(
        self, path: Path, commits: Commits, readers: SqliteReaders, epoch: Callable[[], str]
    ) -> None:
        super().__init__()
        self._path = path
        self._commits = commits
        self._readers = readers
        self._epoch = epoch

    async def look_up(self) -> None:
        """See `HostOutbox.look_up`. The file is known."""

    @property
    def epoch(self) -> str:
        """See `HostOutbox.epoch`."""
        return self._epoch()

    @property
    def schema_name(self) -> None:
        """See `HostOutbox.schema_name`."""
        return

    def is_same_database(self, connection: Connection) -> bool:
        """See `HostOutbox.is_same_database`."""
        databases = connection.exec_driver_sql("PRAGMA database_list").all()
        files = [file for _, name, file in databases if name == "main" and file]
        return any(self._path.samefile(file) for file in files)

    def prepare(self, connection: Connection) -> None:
        """See `HostOutbox.prepare`. Only the chat's writer checkpoints; see `writer`."""
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0").close()

    def put_now(self, connection: Connection, draft: Draft, on_commit: OnCommit) -> QueuedMessage:
        """See `HostOutbox.put_now`.

        Raises:
            Unavailable: another transaction has locked the file.
        """
        try:
            return super().put_now(connection, draft, on_commit)
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) & _PRIMARY_CODE == sqlite3.SQLITE_BUSY:
                raise Unavailable("another transaction has locked the SQLite file") from error
            raise

    async def find(self, message_ids: Sequence[MessageId]) -> Sequence[Draft]:
        """See `Outbox.find`."""
        return await self._readers.run(lambda reader: reader.queued(message_ids))

    async def page(self, after: MessageId | None, limit: int) -> Sequence[Draft]:
        """See `Outbox.page`."""
        return await self._readers.run(lambda reader: reader.queued_after(after or "", limit))

    async def remove(self, message_ids: Sequence[MessageId]) -> None:
        """See `Outbox.remove`."""
        await self._commits.submit(lambda writer: writer.remove_queued(message_ids))
