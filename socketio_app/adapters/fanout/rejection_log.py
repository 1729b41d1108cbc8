"""Logs the reasons for rejections, which operators need and clients must not see."""

import logging
from collections.abc import Mapping
from time import monotonic

from socketio_app.adapters.log_rate import LINE_RATE
from socketio_app.domain.errors import ChatError, TokenRejected
from socketio_app.domain.rates import RateLimiter

log = logging.getLogger("socketio_app.socketio")


class RejectionLog:
    """Logs each rejection once.

    A rejected token is logged as a warning, but at info level if the same source repeats it:
    otherwise any client could bury the other warnings.
    """

    def __init__(self) -> None:
        self._warnings = RateLimiter(LINE_RATE)

    def rejected(self, event: str, error: ChatError, source: Mapping[str, object]) -> None:
        """Log a rejection, with the reason if a token was rejected.

        Args:
            event: the log event.
            error: the error that is sent to the client.
            source: log fields that identify the client.
        """
        fields: dict[str, object] = {**source, "code": error.code}
        level = logging.INFO
        if isinstance(error, TokenRejected):
            fields["reason"] = error.reason
            if not self._warnings.admit(tuple(source.values()), monotonic()):
                level = logging.WARNING
        log.log(level, event, extra=fields)
