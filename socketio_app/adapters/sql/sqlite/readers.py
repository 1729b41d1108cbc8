"""A pool of connections that read from a SQLite file, so that no read waits for a slow one.

In WAL mode, readers block neither the writer nor each other, and SQLite releases Python's global
interpreter lock while it works.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import LifoQueue
from typing import TypeVar

from sqlalchemy.exc import OperationalError

from socketio_app.adapters.sql.sqlite.file import CACHE_KIB, open_connection
from socketio_app.adapters.sql.sqlite.reader import SqliteReader
from socketio_app.domain.errors import Unavailable

READERS = 4
"""Number of connections, and so of concurrent reads."""

MAX_WAITING_READS = 10_000
"""Maximum number of waiting reads; further ones are rejected as `unavailable`.

Each belongs to another user, because the use cases run one read at a time for each user.
"""

Outcome = TypeVar("Outcome")


class SqliteReaders:
    """Runs reads in a thread pool, first come, first served."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads: ThreadPoolExecutor | None = None
        # Last in, first out: the page cache of the most recently used connection is the best.
        self._idle: LifoQueue[SqliteReader] = LifoQueue()
        self._waiting = 0

    async def open(self) -> None:
        """Open the connections."""
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")
        await asyncio.get_running_loop().run_in_executor(self._threads, self._open)

    async def run(self, read: Callable[[SqliteReader], Outcome]) -> Outcome:
        """Run a function in a reader's thread, and return its result.

        Raises:
            Unavailable: the file cannot be read, or too many reads are waiting.
        """
        if self._threads is None:
            raise RuntimeError("the store was not started: run the application's lifespan")
        if self._waiting >= MAX_WAITING_READS:
            raise Unavailable("the store is overloaded")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, read)
        except (sqlite3.OperationalError, OperationalError) as error:
            raise Unavailable("cannot read from the store") from error
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Wait for running reads, and close the connections. Does nothing if not open."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)
            while not self._idle.empty():
                self._idle.get().close()

    def _open(self) -> None:
        for _ in range(READERS):
            connection = open_connection(self._path)
            connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB // READERS}")
            self._idle.put(SqliteReader(connection))

    def _run(self, read: Callable[[SqliteReader], Outcome]) -> Outcome:
        reader = self._idle.get()  # never blocks: there are as many as threads
        try:
            return read(reader)
        finally:
            self._idle.put(reader)
