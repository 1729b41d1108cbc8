"""A SQLite file, opened by the one process that owns it."""

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

LOCK_TIMEOUT_SECONDS = 5.0
"""How long a write waits for another process that has locked the file, a backup's for instance."""


CACHE_KIB = 65_536
"""So much of the file is kept in memory, which is the newest of some ten thousand conversations."""

PAGES_BETWEEN_CHECKPOINTS = 8_192
"""How far the log may grow, 32 MiB: a conversation's last page goes to the file once for many
messages, not for each."""


LOG_BYTES = 64 * 1024 * 1024
"""Size that the write-ahead log is truncated to after a foreign reader made it grow."""


class StoreFileError(Exception):
    """The file cannot be used as the store. The message is one line that names it."""


class StoreInUseError(StoreFileError):
    """Another process owns the file."""


class Ownership:
    """Keeps other processes of ours off a file, for as long as this one lives.

    The locks are the operating system's: a process that is killed releases them. One is on a file
    beside the database. The other, where the system has locks of an open file (Linux), is on the
    database itself, on a byte that SQLite does not use; so neither another name of the database nor
    the removal of the file beside it gets round the ownership.
    """

    def __init__(self, path: Path) -> None:
        """Take it, and make the file, readable by this user only, where there is none.

        Raises:
            StoreInUseError: Another process has it.
            StoreFileError: The file cannot be opened for writing.
        """
        self._files: list[int] = []
        real = path.resolve()
        try:
            self._open(real.with_name(f"{real.name}-owner"), _lock_all, path)
            self._open(real, _lock_far_byte, path)
        except BaseException:
            self.time_out()
            raise

    def time_out(self) -> None:
        """Let another process have it.

        Every connection to the database must be closed by then: closing the file releases the
        locks that SQLite has on it in this process (POSIX advisory locks).
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
                f"{path} is in use by another process; one process owns a SQLite file, "
                "use PostgreSQL for several"
            ) from None
        except OSError as error:
            raise StoreFileError(f"{path} cannot be opened: {_reason(name, error)}") from None


def _lock_all(file: int) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_FAR_BYTE = 2**62
"""SQLite locks bytes from 2**30 on, and no file is as long as this."""


def _lock_far_byte(file: int) -> None:
    # Python knows the constant from 3.9 on, and only where the system has such locks.
    set_lock = getattr(fcntl, "F_OFD_SETLK", None)
    if set_lock is not None and sys.maxsize > 2**32:
        fcntl.fcntl(file, set_lock, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _FAR_BYTE, 1, 0))


_FLOCK = Struct("hhqqi4x")
"""`struct flock` of 64-bit Linux."""


def _reason(name: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no folder {name.parent}"
    return error.strerror or type(error).__name__


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that it cannot use into one line.

    Raises:
        StoreFileError: SQLite refuses the file.
    """
    try:
        yield
    except (sqlite3.DatabaseError, SqlalchemyDatabaseError) as error:
        raise StoreFileError(f"{path} cannot be used: {getattr(error, 'orig', error)}") from error


def open_connection(path: Path) -> sqlite3.Connection:
    """The connection that writes.

    A commit is on the disk when it returns: in WAL mode, `FULL` flushes the log at each.
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


def tables_of(connection: sqlite3.Connection) -> Connection:
    """A connection as SQLAlchemy sees it; where a transaction begins is not for it to say."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: connection,
        poolclass=StaticPool,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
    )
    return engine.connect()
