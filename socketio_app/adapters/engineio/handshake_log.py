"""Log lines about rejected handshakes that an operator may have to act on."""

import logging
from time import monotonic
from typing import Final

from socketio_app.adapters.log_rate import LINE_RATE
from socketio_app.domain.rates import RateLimiter

log = logging.getLogger("socketio_app.socketio")

_MAX_ORIGIN_CHARS: Final = 200


class HandshakeLog:
    """Logs at a limited rate: any client can cause these lines."""

    def __init__(self) -> None:
        self._limiter = RateLimiter(LINE_RATE)

    def origin_rejected(self, origin: str) -> None:
        """Log a rejected origin, which may have to be allowed."""
        self._warn("refused a web origin: %s", origin[:_MAX_ORIGIN_CHARS])

    def takeover_missing(self) -> None:
        """Log that the ASGI server does not support plain WebSockets."""
        self._warn(
            "plain WebSockets need uvicorn with TakeoverProtocol, and without "
            "ws-per-message-deflate (docs/running.md)"
        )

    def _warn(self, line: str, *values: str) -> None:
        if not self._limiter.admit(line, monotonic()):
            log.warning(line, *values)
