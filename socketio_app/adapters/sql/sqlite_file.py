"""A SQLite file, opened by the one process that owns it."""

import fcntl
import os
import sqlite3
from pathlib import Path

LOCK_TIMEOUT_SECONDS = 5.0
"""How long a write waits for another process that has locked the file, a backup's for instance."""


CACHE_KIB = 65_536
"""So much of the file is kept in memory, which is the newest of some ten thousand conversations."""

PAGES_BETWEEN_CHECKPOINTS = 8_192
"""How far the log may grow, 32 MiB: a conversation's last page goes to the file once for many
messages, not for each."""


class StoreInUseError(Exception):
    """Another process owns the file. The message is one line."""


class Ownership:
    """Keeps other processes of ours off a file, for as long as this one lives.

    The lock is the operating system's, on a file beside the database: a process that is killed lets
    it go.
    """

    def __init__(self, path: Path) -> None:
        """Take it.

        Raises:
            StoreInUseError: another process has it.
        """
        self._file = os.open(f"{path}-owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise StoreInUseError(
                f"{path} is in use by another process; one process owns a SQLite file, "
                "use PostgreSQL for several"
            ) from None

    def give_up(self) -> None:
        """Let another process have it."""
        os.close(self._file)


def open_connection(path: Path) -> sqlite3.Connection:
    """The connection that writes.

    A commit is on the disk when it returns: in WAL mode, `FULL` flushes the log at each.
    """
    connection = sqlite3.connect(
        path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_BETWEEN_CHECKPOINTS}")
    return connection
