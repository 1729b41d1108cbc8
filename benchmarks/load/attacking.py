"""A process that attacks the server for a while."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def attacking(kind: str, connections: int, port: int) -> AsyncIterator[None]:
    """While it lasts, another process attacks the server.

    Raises:
        RuntimeError: the process did not begin.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load.attackers", kind),
        *(f"--connections={connections}", f"--port={port}"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101  (it is a pipe)
    try:
        if await process.stdout.readline() != b"begun\n":
            raise RuntimeError(f"no attack of the kind {kind} began")
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
