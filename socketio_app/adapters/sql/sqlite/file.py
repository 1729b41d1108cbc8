"""A SQLite file, and its exclusive ownership by one process."""

import fcntl
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DatabaseError as SqlalchemyDatabaseError
from sqlalchemy.pool import StaticPool

from socketio_app.application.store_capabilities import StoreError

LOCK_TIMEOUT_SECONDS = 5.0
"""Maximum time that a write waits for another process, such as a backup, to unlock the file."""

CACHE_KIB = 65_536
"""Size of the page cache, enough for the newest messages of some ten thousand conversations."""

PAGES_BETWEEN_CHECKPOINTS = 8_192
"""Size of the write-ahead log that triggers a checkpoint: 32 MiB. The last page of a conversation
is then written to the database once for many messages."""

LOG_BYTES = 64 * 1024 * 1024
"""Size to which the write-ahead log is truncated after a foreign reader made it grow."""


class StoreFileError(StoreError):
    """The file cannot be used. The message is one line with its path."""


class StoreInUseError(StoreFileError):
    """The file is owned by another process."""


class Ownership:
    """Exclusive ownership of a database file among processes of the chat.

    It consists of two locks of the operating system, which are released even if the process is
    killed. One is on a file next to the database. The other, on systems with open file description
    locks (Linux), is on a byte of the database file that SQLite does not use. Ownership therefore
    holds even if the database has another name, or the file next to it is removed.
    """

    def __init__(self, path: Path) -> None:
        """Acquire ownership; create the file, readable only by its owner, if it does not exist.

        Raises:
            StoreInUseError: another process owns the file.
            StoreFileError: the file cannot be opened for writing.
        """
        self._files: list[int] = []
        real = path.resolve()
        try:
            self._open(real.with_name(f"{real.name}-owner"), _lock_all, path)
            self._open(real, _lock_far_byte, path)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release ownership.

        All connections to the database must be closed before: closing the file also releases the
        locks that SQLite holds on it in this process (POSIX advisory locks).
        """
        while self._files:
            os.close(self._files.pop())

    def _open(self, name: Path, lock: Callable[[int], None], path: Path) -> None:
        try:
            file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._files.append(file)
            lock(file)
        except BlockingIOError:
            raise StoreInUseError(
                f"{path} is in use by another process; a SQLite file is owned by one process, "
                "use PostgreSQL for several"
            ) from None
        except OSError as error:
            raise StoreFileError(f"cannot open {path}: {_reason(name, error)}") from None


def _lock_all(file: int) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_FAR_BYTE = 2**62
"""Beyond the bytes that SQLite locks, from 2**30 on, and beyond the end of any file."""


def _lock_far_byte(file: int) -> None:
    # The constant only exists on systems that have such locks.
    set_lock = getattr(fcntl, "F_OFD_SETLK", None)
    if set_lock is not None and sys.maxsize > 2**32:
        fcntl.fcntl(file, set_lock, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _FAR_BYTE, 1, 0))


_FLOCK = Struct("hhqqi4x")
"""`struct flock` of 64-bit Linux."""


def _reason(name: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"no such directory: {name.parent}"
    return error.strerror or type(error).__name__


@contextmanager
def convert_errors(path: Path) -> Iterator[None]:
    """Convert SQLite's errors for an unusable file.

    Raises:
        StoreFileError: SQLite cannot use the file.
    """
    try:
        yield
    except (sqlite3.DatabaseError, SqlalchemyDatabaseError) as error:
        raise StoreFileError(f"cannot use {path}: {getattr(error, 'orig', error)}") from error


def open_connection(path: Path) -> sqlite3.Connection:
    """Open a connection that can write.

    Commits are durable: in WAL mode, `synchronous = FULL` flushes the log at each commit.
    """
    connection = sqlite3.connect(
        path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_BETWEEN_CHECKPOINTS}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def sqlalchemy_connection(connection: sqlite3.Connection) -> Connection:
    """Wrap a connection for SQLAlchemy, which starts no transactions of its own on it."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: connection,
        poolclass=StaticPool,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
    )
    return engine.connect()
