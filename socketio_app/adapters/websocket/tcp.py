"""Resetting TCP connections of clients that do not read."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping
from types import CellType, FunctionType, MethodType
from typing import Final, cast

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
    method of the protocol that has the transport, or a function of middleware that calls another
    `receive`.
    """
    for _ in range(_MAX_WRAPPERS):
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if hasattr(transport, "abort"):
            return cast("asyncio.Transport", transport)
        receive = _wrapped_by(receive)
    return None


_MAX_WRAPPERS = 50
"""Wrappers of `receive` to look through: one or two for each middleware."""


def _wrapped_by(receive: object) -> object:
    """Return the `receive` that another one calls, by the name of its variable or attribute."""
    if isinstance(receive, MethodType):
        return next(_receives(getattr(receive.__self__, "__dict__", {})), None)
    if isinstance(receive, FunctionType):
        cells = zip(receive.__code__.co_freevars, receive.__closure__ or (), strict=True)
        variables = {name: cell.cell_contents for name, cell in cells if cell != _EMPTY}
        return next(_receives(variables), None)
    return None


_EMPTY: Final = CellType()
"""The cell of a variable that has no value yet."""


def _receives(variables: Mapping[str, object]) -> Iterator[object]:
    for name, value in variables.items():
        if "receive" in name and isinstance(value, FunctionType | MethodType):
            yield value
