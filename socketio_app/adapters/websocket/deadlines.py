"""Deadlines for clients that allow for a blocked event loop.

While the loop is blocked, for example by a host application's code, data from clients waits in
their sockets. A deadline that passes meanwhile must not expire before that data has been read.
"""

import asyncio
from collections.abc import Callable

LATE_SECONDS = 0.25
"""A timer that fires later than this was delayed by a blocked loop."""

GRACE_SECONDS = 1.0
"""One-time extension of a delayed deadline, for reading data that has already arrived."""


class Deadline:
    """A timer that calls a function after some seconds, unless it is cancelled.

    If the loop was blocked when the timer was due, the call is delayed by `GRACE_SECONDS`.
    """

    __slots__ = ("_due", "_expire", "_timer")

    def __init__(self, seconds: float, expire: Callable[[], None]) -> None:
        self._expire = expire
        loop = asyncio.get_running_loop()
        self._due = loop.time() + seconds
        self._timer = loop.call_later(seconds, self._check)

    def cancel(self) -> None:
        """Cancel the call."""
        self._timer.cancel()

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._due > LATE_SECONDS:
            self._timer = loop.call_later(GRACE_SECONDS, self._expire)
        else:
            self._expire()
