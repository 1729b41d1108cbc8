"""Deadlines for clients, fair to them when the event loop was blocked.

While the loop is blocked, by a host application's code say, what clients send waits in their
sockets. A deadline that passes meanwhile must not expire before that has been read.
"""

import asyncio
from collections.abc import Callable

LATE_SECONDS = 0.25
"""A timer that runs later than this was held up by a blocked loop."""

GRACE_SECONDS = 1.0
"""How much longer a deadline is then, once: time to read what has arrived."""


class Deadline:
    """Calls a function after some seconds, unless it is cancelled before.

    Where the loop was blocked at that moment, it does so after `GRACE_SECONDS` more.
    """

    __slots__ = ("_due", "_expire", "_timer")

    def __init__(self, seconds: float, expire: Callable[[], None]) -> None:
        self._expire = expire
        loop = asyncio.get_running_loop()
        self._due = loop.time() + seconds
        self._timer = loop.call_later(seconds, self._check)

    def cancel(self) -> None:
        """Do not call the function any more."""
        self._timer.cancel()

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._due > LATE_SECONDS:
            self._timer = loop.call_later(GRACE_SECONDS, self._expire)
        else:
            self._expire()
