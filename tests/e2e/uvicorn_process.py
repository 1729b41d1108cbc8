"""uvicorn, or a command that runs it, in a process of its own, with its default logging."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not wanted(self.written):
                line = await self._process.stdout.readline()
                assert line, self.written
                self.written += line.decode()

    async def until_listening(self) -> None:
        """Wait until the port accepts connections: after "startup complete" is written."""
        host, port = self.url.removeprefix("http://").split(":")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection(host, int(port))
                    writer.close()
                    return
                await asyncio.sleep(0.01)

    async def read_output(self) -> None:
        assert self._process.stdout is not None
        while await self._process.stdout.readline():
            pass


def uvicorn(tmp_path: Path, application: str, *options: str) -> AbstractAsyncContextManager[Server]:
    """Serve `app` of a module with this source."""
    return python_module(tmp_path, application, "uvicorn", "hosted:app", *options)


@asynccontextmanager
async def python_module(
    tmp_path: Path, application: str, *command: str, **environment: str
) -> AsyncIterator[Server]:
    """Run a server's command with `python -m`, beside a module `hosted` with this source."""
    (tmp_path / "hosted.py").write_text(application)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", *command, "--port", str(port)],
        cwd=tmp_path,
        env={**os.environ, "SECRET_KEY": SECRET, "DATABASE_URL": "memory://", **environment},
        stderr=asyncio.subprocess.STDOUT,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Server(f"http://127.0.0.1:{port}", process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
