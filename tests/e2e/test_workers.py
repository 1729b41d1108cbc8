"""A server with several workers shares one chat, or does not start."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.clients import PythonClient, until
from tests.ports import free_port
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

PATIENCE_SECONDS = 60

APPLICATION = """
from socketio_app.main import create_socketio_app

app = create_socketio_app()
"""

REFUSAL = "another worker of this server is already running: run one worker, or use PostgreSQL"


class Server:
    """A server process, and its output so far."""

    def __init__(self, url: str, process: asyncio.subprocess.Process) -> None:
        self.url = url
        self._process = process
        self._written = ""

    async def until_written(self, wanted: Callable[[str], bool]) -> None:
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not wanted(self._written):
                line = await self._process.stderr.readline()
                assert line, self._written
                self._written += line.decode()

    async def read_next_batch(self) -> None:
        assert self._process.stderr is not None
        while await self._process.stderr.readline():
            pass


@asynccontextmanager
async def uvicorn(tmp_path: Path, *options: str) -> AsyncIterator[Server]:
    (tmp_path / "hosted.py").write_text(APPLICATION)
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


async def test_second_worker_with_chat_in_memory_is_rejected(tmp_path: Path) -> None:
    async with uvicorn(tmp_path, "--workers", "2") as server:
        await server.until_written(
            lambda written: REFUSAL in written and "startup complete" in written
        )


async def test_replaced_worker_serves_chat_again(tmp_path: Path) -> None:
    async with uvicorn(tmp_path, "--reload", "--reload-dir", str(tmp_path)) as server:
        await server.until_written(lambda written: "startup complete" in written)

        (tmp_path / "hosted.py").write_text(APPLICATION + "\n# changed\n")
        await server.until_written(lambda written: written.count("startup complete") == 2)

        reading = asyncio.create_task(server.read_next_batch())
        ada = await PythonClient().open(server.url, "websocket", {"auth": {"token": token("ada")}})
        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()
        reading.cancel()
