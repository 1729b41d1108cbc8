"""Why connections end, beside the reasons that python-engineio has names for."""

from typing import Final

MALFORMED: Final = "malformed packet"
"""The client sent what is not Socket.IO."""

NOT_READING: Final = "not reading"
"""Too much was waiting for the client."""

RESTART: Final = "server restart"
"""The server ends."""

NOT_LET_IN: Final = "not let in"
"""Nobody connected over it in time."""

EXPIRED: Final = "token expired"
"""What it was let in by has ended."""

WRITE_FAILED: Final = "write failed"
"""Writing to it raised, so its client has a gap."""

TOO_MANY_REFUSALS: Final = "too many refusals"
"""The client went on regardless."""

TOO_FAR_BEHIND: Final = "too far behind"
"""More was broadcast to it than may be held back while the store is read for it."""

DISCONNECTED: Final = "disconnected"
"""Whoever runs the chat wants the user here no more."""
