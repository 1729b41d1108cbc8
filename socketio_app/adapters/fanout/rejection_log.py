"""Logs the reasons for rejections, which operators need and clients must not see."""

import logging
from collections.abc import Hashable, Mapping
from time import monotonic

from socketio_app.adapters.log_event import log_event
from socketio_app.adapters.log_rate import LINE_RATE, WARNING_RATE
from socketio_app.domain.errors import ChatError, TokenRejected
from socketio_app.domain.rates import RateLimiter

log = logging.getLogger("socketio_app.socketio")


class RejectionLog:
    """Logs each rejection once.

    A rejected token is logged as a warning, but at info level if the same source repeats it, or if
    there are too many: otherwise clients could bury the other warnings.
    """

    def __init__(self) -> None:
        self._of_sources = RateLimiter(LINE_RATE)
        self._of_all = RateLimiter(WARNING_RATE)

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
            if self._may_warn(tuple(source.values())):
                level = logging.WARNING
        log_event(log, level, event, fields)

    def _may_warn(self, source: Hashable) -> bool:
        now = monotonic()
        return not self._of_sources.admit(source, now) and not self._of_all.admit(None, now)
