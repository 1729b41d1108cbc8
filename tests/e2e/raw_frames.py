"""A WebSocket client that sends raw bytes, and reads only on request."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

import attrs
from websockets.frames import Frame, Opcode

PATIENCE_SECONDS = 60
OPEN = "/socket.io/?EIO=4&transport=websocket"


@attrs.define
class RawFrames:
    """A TCP connection after the WebSocket handshake."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        base_url: str,
        path: str = OPEN,
        *,
        receive_buffer_bytes: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[Self]:
        """Connect, and read to the end of the handshake.

        Args:
            base_url: the server's.
            path: where its WebSocket is.
            receive_buffer_bytes: how much the system accepts for a client that does not read.
            tls: what to encrypt with.
        """
        host, port = urlsplit(base_url).hostname, urlsplit(base_url).port
        assert host is not None
        tcp = socket.socket(proto=socket.IPPROTO_TCP)
        if receive_buffer_bytes is not None:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        tcp.setblocking(False)
        await asyncio.get_running_loop().sock_connect(tcp, (host, port))
        # Unread data stays in the system's buffer, not in the reader.
        limit = 1024 if receive_buffer_bytes is not None else 2**16
        reader, writer = await asyncio.open_connection(
            sock=tcp, limit=limit, ssl=tls, server_hostname=host if tls else None
        )
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def send(self, payload: str | bytes, opcode: Opcode = Opcode.TEXT) -> None:
        data = payload.encode() if isinstance(payload, str) else payload
        self.writer.write(Frame(opcode, data).serialize(mask=True))

    def send_close(self, code: int = 1000) -> None:
        self.send(code.to_bytes(2, "big"), Opcode.CLOSE)

    async def receive(self) -> tuple[Opcode, bytes] | None:
        """The next frame; `None` at the end of the connection.

        Raises:
            ConnectionResetError: the connection was reset.
            IncompleteReadError: it ended within a frame.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                first, length = await self.reader.readexactly(2)
                if length >= 126:
                    size = await self.reader.readexactly(2 if length == 126 else 8)
                    length = int.from_bytes(size, "big")
                return Opcode(first & 0x0F), await self.reader.readexactly(length)
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise
                return None

    async def receive_all(self) -> list[tuple[Opcode, bytes]]:
        """Return all frames until the end of the connection; answer a Close frame."""
        received = []
        while (frame := await self.receive()) is not None:
            received.append(frame)
            if frame[0] is Opcode.CLOSE:
                self.send(frame[1], Opcode.CLOSE)
        return received

    async def receive_until(self, beginning: str) -> str:
        """Return the next text that starts with `beginning`."""
        while (frame := await self.receive()) is not None:
            if frame[1].startswith(beginning.encode()):
                return frame[1].decode()
        raise AssertionError(f"the connection ended before {beginning!r}")


def close_code(frame: tuple[Opcode, bytes] | None) -> int:
    """Return the code of a Close frame."""
    assert frame is not None
    assert frame[0] is Opcode.CLOSE
    return int.from_bytes(frame[1][:2], "big")
