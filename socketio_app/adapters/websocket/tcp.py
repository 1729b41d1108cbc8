"""TCP connections that have to be cut, because their client does not read."""

import asyncio
import contextlib
import socket
import struct
from typing import cast

_NO_LINGERING = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """End a connection now, and what the client has not read with it.

    A reset, not a goodbye: that would wait in the system for a client that does not read. Where the
    connection has ended already, nothing happens.
    """
    raw: socket.socket | None = transport.get_extra_info("socket")
    if raw is not None:
        # It may be closed: asyncio's then has the one error, uvloop's the other.
        with contextlib.suppress(OSError, ValueError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    transport.abort()


def transport_behind(receive: object) -> asyncio.Transport | None:
    """The connection that an ASGI `receive` reads from, where that can be told.

    ASGI can close a connection and not cut it. But `receive` is often, as with uvicorn, a method of
    the protocol that has the transport.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    return cast("asyncio.Transport", transport) if hasattr(transport, "abort") else None
