"""Recording deliveries in the background."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from socketio_app.adapters.sql.group_commit import GroupCommit, Write
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.messaging import Message

log = logging.getLogger("socketio_app.store")


def submit_deliveries(
    commits: GroupCommit[Write, Any],
    write: Write,
    first_time: Callable[[Sequence[Message]], None],
) -> None:
    """Submit a write whose outcome is the messages delivered for the first time.

    If the write fails, its messages stay undelivered, and are sent again to the next connection.
    """

    def settle(outcome: Any) -> None:
        if isinstance(outcome, Exception):
            _log_failure(outcome)
        elif outcome:
            first_time(outcome)

    try:
        commits.submit_in_background(write, settle)
    except Unavailable as error:
        _log_failure(error)


def _log_failure(error: Exception) -> None:
    if not isinstance(error, Unavailable):
        log.error("unexpected error while recording deliveries", exc_info=error)
