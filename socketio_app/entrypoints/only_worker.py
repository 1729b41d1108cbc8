"""Keeps a server's second worker from having a chat of its own in memory.

`uvicorn --workers 2`, granian, hypercorn and gunicorn start the application in several processes.
Each would have its own chat, and messages would only reach the users of the same one.
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
"""How long a new worker waits for the one that it replaces."""

_RETRY_SECONDS = 0.1


class OnlyWorker:
    """Held by the one worker of a server that has its chats in memory.

    The lock is the operating system's, so that a worker that is killed releases it. A process that
    no server has started as its worker needs none.
    """

    def __init__(self) -> None:
        self._file: int | None = None
        self._chats: set[object] = set()

    async def acquire(self, chat: object) -> None:
        """Count in one of this process's chats, once no other worker of this server has any.

        Doing it again changes nothing.

        Raises:
            SettingsError: another worker goes on having some.
        """
        if is_worker() and self._file is None:
            self._file = await self._locked()
        self._chats.add(chat)

    def release(self, chat: object) -> None:
        """Count a chat out; after the last one, another worker may have its own."""
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
                    "DATABASE_URL is memory://, which is for one process, and another worker of "
                    "this server has a chat already: run one worker, or use PostgreSQL"
                )
            await asyncio.sleep(_RETRY_SECONDS)
        return file


ONLY_WORKER = OnlyWorker()
"""This process's: an application may have several chats."""


def is_worker() -> bool:
    """Whether a server has started this process as one of its workers."""
    return multiprocessing.parent_process() is not None or "gunicorn.arbiter" in sys.modules


def _path() -> Path:
    return Path(tempfile.gettempdir()) / f"socketio-app-{os.getuid()}-{os.getppid()}.lock"


def _lock(path: Path) -> int | None:
    """Lock a file; `None` if another process has it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.open(path, flags, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.fstat(file).st_ino == path.stat().st_ino:
            return file  # else its last holder removed it between opening and locking
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(file)
    return None
