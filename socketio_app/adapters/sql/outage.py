"""Logging of outages: one line when a store becomes unavailable, and one when it recovers."""

import logging
import sqlite3
from time import monotonic

from socketio_app.adapters.log_event import log_event
from socketio_app.domain.errors import Unavailable

log = logging.getLogger("socketio_app.store")


class Outage:
    """Whether the store can be written to, according to the last transaction."""

    def __init__(self) -> None:
        self._since: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the last transaction failed."""
        return self._since is not None

    def note(self, failure: Exception | None) -> None:
        """Record the outcome of a transaction."""
        if isinstance(failure, Unavailable):
            if self._since is None:
                self._since = monotonic()
                fields = {"reason": _reason(failure)}
                log_event(log, logging.ERROR, "the store is unavailable", fields)
        elif failure is None and self._since is not None:
            duration = round(monotonic() - self._since, 3)
            self._since = None
            ended = {"duration": duration}
            log_event(log, logging.WARNING, "the store is available again", ended)


def _reason(failure: Unavailable) -> str:
    """Return the type of the error, and its message if that comes from the system."""
    cause = failure.__cause__
    if cause is None:
        return failure.message
    name = type(cause).__name__
    return f"{name}: {cause}" if isinstance(cause, OSError | sqlite3.OperationalError) else name
