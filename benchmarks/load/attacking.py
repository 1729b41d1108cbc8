"""A process that attacks the server temporarily."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def attacking(kind: str, connections: int, port: int) -> AsyncIterator[None]:
    """Let another process attack the server within the context.

    Raises:
        RuntimeError: the process did not start.
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
