"""Refusing to start a second worker process with an in-memory store.

`uvicorn --workers 2`, granian, hypercorn and gunicorn start the application in several processes.
Each would have a chat of its own, and messages would reach only users of the same process.
"""

import asyncio
import fcntl
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

from socketio_app.entrypoints.settings import SettingsError

RELOAD_TIMEOUT_SECONDS = 5.0
"""Time that a new worker waits for the worker it replaces to exit."""

_RETRY_SECONDS = 0.1


class WorkerLock:
    """A lock that allows only one worker of a server to have in-memory chats.

    It is a file lock, which the operating system releases if the worker is killed. A process that
    is not a server's worker needs no lock.
    """

    def __init__(self) -> None:
        self._file: int | None = None
        self._chats: set[object] = set()

    async def acquire(self, chat: object) -> None:
        """Register a chat of this process, after acquiring the lock. Idempotent.

        Raises:
            SettingsError: another worker holds the lock for `RELOAD_TIMEOUT_SECONDS`.
        """
        if is_worker() and self._file is None:
            self._file = await self._locked()
        self._chats.add(chat)

    def release(self, chat: object) -> None:
        """Unregister a chat; after the last one, release the lock."""
        self._chats.discard(chat)
        if not self._chats and self._file is not None:
            _path().unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    async def _locked(self) -> int:
        deadline = asyncio.get_running_loop().time() + RELOAD_TIMEOUT_SECONDS
        while (file := _lock(_path())) is None:
            if asyncio.get_running_loop().time() > deadline:
                raise SettingsError(
                    "a store in memory, such as DATABASE_URL=memory://, supports only one process, "
                    "and another worker of this server is already running: run one worker"
                )
            await asyncio.sleep(_RETRY_SECONDS)
        return file


WORKER_LOCK = WorkerLock()
"""The lock of this process, shared by all of its chats."""


def is_worker() -> bool:
    """Whether this process is a worker of a server."""
    return multiprocessing.parent_process() is not None or "gunicorn.arbiter" in sys.modules


def _path() -> Path:
    return Path(tempfile.gettempdir()) / f"socketio-app-{os.getuid()}-{os.getppid()}.lock"


def _lock(path: Path) -> int | None:
    """Lock a file and return its descriptor; `None` if another process holds the lock."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.open(path, flags, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.fstat(file).st_ino == path.stat().st_ino:
            return file  # otherwise the last holder removed the file after we opened it
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(file)
    return None
