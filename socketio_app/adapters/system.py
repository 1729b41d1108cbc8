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
        self._milliseconds = 0
        self._now = datetime.fromtimestamp(0, UTC)

    def now(self) -> datetime:
        """See `Clock.now`."""
        monotonic_ns = time.monotonic_ns()
        ahead_ns = time.time_ns() - monotonic_ns
        if ahead_ns > self._ahead_of_monotonic_ns:
            self._ahead_of_monotonic_ns = ahead_ns
        milliseconds = (self._ahead_of_monotonic_ns + monotonic_ns) // 1_000_000
        if milliseconds != self._milliseconds:
            self._milliseconds = milliseconds
            self._now = datetime.fromtimestamp(milliseconds / 1000, UTC)
        return self._now

    def wall_time(self) -> datetime:
        """See `Clock.wall_time`."""
        return datetime.fromtimestamp(time.time_ns() / 10**9, UTC)

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> Timer:
        """See `Clock.call_later`."""
        return asyncio.get_running_loop().call_later(delay.total_seconds(), callback)


def new_message_id() -> MessageId:
    """Return a UUIDv7 (RFC 9562, section 5.7): unique, and increasing over time."""
    return MessageId(str(uuid_utils.uuid7()))
