"""Resetting TCP connections of clients that do not read."""

import asyncio
import contextlib
import socket
import struct
from typing import cast

_NO_LINGER = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """Reset a connection, discarding what the client has not read.

    An orderly close would keep unread data in the kernel while the client does not read. If the
    connection is already closed, nothing happens.
    """
    raw: socket.socket | None = transport.get_extra_info("socket")
    if raw is not None:
        # If the socket is closed, asyncio raises the former, uvloop the latter.
        with contextlib.suppress(OSError, ValueError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def transport_behind(receive: object) -> asyncio.Transport | None:
    """Return the transport that an ASGI `receive` reads from, or `None` if it cannot be found.

    ASGI can close a connection but not reset it. However, `receive` is often, as with uvicorn, a
    method of the protocol that has the transport.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    return cast("asyncio.Transport", transport) if hasattr(transport, "abort") else None
