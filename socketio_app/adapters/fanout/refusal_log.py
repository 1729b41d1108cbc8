"""Logs why clients are refused: the operator needs the reason, the client must not have it."""

import logging
from collections.abc import Mapping
from time import monotonic

from socketio_app.adapters.log_rate import LINE_RATE
from socketio_app.domain.errors import ChatError, TokenRejected
from socketio_app.domain.rates import RateLimiter

log = logging.getLogger("socketio_app.socketio")


class RefusalLog:
    """Logs each refusal once: a rejected token as a warning, or as info while its source repeats.

    A warning for every refused connection would let a stranger bury the other warnings.
    """

    def __init__(self) -> None:
        self._warnings = RateLimiter(LINE_RATE)

    def refused(self, event: str, error: ChatError, source: Mapping[str, object]) -> None:
        """Log an error that a client was refused with, and its reason if it is about a token.

        Args:
            event: what was refused.
            error: why, for the client.
            source: who it was, as fields of the log.
        """
        fields: dict[str, object] = {**source, "code": error.code}
        level = logging.INFO
        if isinstance(error, TokenRejected):
            fields["reason"] = error.reason
            if not self._warnings.admit(tuple(source.values()), monotonic()):
                level = logging.WARNING
        log.log(level, event, extra=fields)
