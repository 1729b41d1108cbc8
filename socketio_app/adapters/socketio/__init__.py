"""The chat over Socket.IO."""

from typing import Final

ENGINE_LOGGERS: Final = ("engineio.server", "socketio.server")
"""The loggers of the libraries below."""
