"""Socket.IO 5, the chat's first transport."""

from typing import Final

ENGINE_LOGGERS: Final = ("engineio.server", "socketio.server")
"""Names of the loggers of the underlying libraries."""
