"""Why connections end, beside the reasons that python-engineio has names for."""

from typing import Final

MALFORMED: Final = "malformed packet"
"""The client sent what is not Socket.IO."""

NOT_READING: Final = "not reading"
"""Too much was waiting for the client."""

RESTART: Final = "server restart"
"""The server ends."""
