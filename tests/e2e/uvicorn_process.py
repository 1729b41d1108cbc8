"""uvicorn in a process of its own, with its default logging."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.ports import free_port
from tests.tokens import SECRET

PATIENCE_SECONDS = 60


class Server:
    """A server process, and its output so far."""

    def __init__(self, url: str, process: asyncio.subprocess.Process) -> None:
        self.url = url
        self._process = process
        self.written = ""

    async def until_written(self, wanted: Callable[[str], bool]) -> None:
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not wanted(self.written):
                line = await self._process.stderr.readline()
                assert line, self.written
                self.written += line.decode()

    async def read_output(self) -> None:
        assert self._process.stderr is not None
        while await self._process.stderr.readline():
            pass


@asynccontextmanager
async def uvicorn(tmp_path: Path, application: str, *options: str) -> AsyncIterator[Server]:
    """Serve `app` of a module with this source."""
    (tmp_path / "hosted.py").write_text(application)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "hosted:app", "--port", str(port), *options]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        env={**os.environ, "SECRET_KEY": SECRET, "DATABASE_URL": "memory://"},
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Server(f"http://127.0.0.1:{port}", process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
