"""The system clock, and message ids."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import uuid_utils

from socketio_app.application.ports import Timer
from socketio_app.domain.identifiers import MessageId


class SystemClock:
    """The system clock; `now` continues to advance when the system time is set back."""

    def __init__(self) -> None:
        self._ahead_of_monotonic_ns = -(2**63)
        self._now = datetime.fromtimestamp(0, UTC)
        self._ends_at_ns = -1
        """Monotonic time at which `_now` ends."""

    def now(self) -> datetime:
        """See `Clock.now`."""
        monotonic_ns = time.monotonic_ns()
        if monotonic_ns >= self._ends_at_ns:
            self._advance(monotonic_ns)
        return self._now

    def _advance(self, monotonic_ns: int) -> None:
        """Determine the millisecond, and when it ends."""
        self._ahead_of_monotonic_ns = max(
            self._ahead_of_monotonic_ns, time.time_ns() - monotonic_ns
        )
        milliseconds = (self._ahead_of_monotonic_ns + monotonic_ns) // 1_000_000
        self._now = datetime.fromtimestamp(milliseconds / 1000, UTC)
        self._ends_at_ns = (milliseconds + 1) * 1_000_000 - self._ahead_of_monotonic_ns

    def wall_time(self) -> datetime:
        """See `Clock.wall_time`."""
        return datetime.fromtimestamp(time.time_ns() / 10**9, UTC)

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> Timer:
        """See `Clock.call_later`."""
        return asyncio.get_running_loop().call_later(delay.total_seconds(), callback)


def new_message_id() -> MessageId:
    """Return a UUIDv7 (RFC 9562, section 5.7): unique, and increasing over time."""
    return MessageId(str(uuid_utils.uuid7()))
