"""Reasons for closing connections, in the log and, with underscores, in metrics."""

from typing import Final

CLIENT_DISCONNECT: Final = "client disconnect"
"""The client closed its session."""

PING_TIMEOUT: Final = "ping timeout"
"""The client did not answer a ping in time."""

TRANSPORT_CLOSE: Final = "transport close"
"""The WebSocket or its TCP connection was closed."""

TRANSPORT_ERROR: Final = "transport error"
"""The client violated the protocol."""

SERVER_DISCONNECT: Final = "server disconnect"
"""The server closed the session."""

MALFORMED: Final = "malformed packet"
"""The client sent a malformed packet."""

NOT_READING: Final = "not reading"
"""The client did not read or poll, and its buffer is full."""

SERVER_RESTART: Final = "server restart"
"""The server is shutting down."""

NOT_AUTHENTICATED: Final = "authentication timed out"
"""The client did not authenticate in time."""

EXPIRED: Final = "token expired"
"""The token has expired."""

WRITE_FAILED: Final = "write failed"
"""A write failed, so the client has missed a frame."""

TOO_MANY_REFUSALS: Final = "too many refusals"
"""Too many of the client's commands were rejected."""

TOO_FAR_BEHIND: Final = "too far behind"
"""Too many events were queued while the store was read for the connection."""

DISCONNECTED: Final = "disconnected"
"""The host application disconnected the user."""
