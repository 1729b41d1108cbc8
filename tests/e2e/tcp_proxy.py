"""A TCP proxy that can stop forwarding, like a network from which a client has disappeared."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import attrs


@attrs.define
class Proxy:
    """Forwards in both directions until it is frozen; then it reads and drops all data."""

    url: str
    is_frozen: bool = False

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not self.is_frozen:
                writer.write(data)
                await writer.drain()
        if not self.is_frozen:
            writer.close()


@asynccontextmanager
async def tcp_proxy(url: str) -> AsyncIterator[Proxy]:
    """Run a proxy for a server on a free port."""
    address = urlsplit(url)
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = await asyncio.open_connection(address.hostname, address.port)
        writers.extend([writer, to_server[1]])
        for pair in ((reader, to_server[1]), (to_server[0], writer)):
            task = asyncio.create_task(proxy.forward(*pair))
            tasks.add(task)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy = Proxy(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield proxy
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
