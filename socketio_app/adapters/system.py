"""The running machine's time and identifiers."""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import uuid_utils

from socketio_app.application.ports import Timer
from socketio_app.domain.identifiers import MessageId


class SystemClock:
    """The machine's time, which here goes on where the machine's is set back."""

    def __init__(self) -> None:
        self._ahead_of_monotonic = -math.inf

    def now(self) -> datetime:
        """See `Clock.now`."""
        monotonic = time.monotonic()
        self._ahead_of_monotonic = max(self._ahead_of_monotonic, time.time() - monotonic)
        milliseconds = int((self._ahead_of_monotonic + monotonic) * 1000)
        return datetime.fromtimestamp(milliseconds / 1000, UTC)

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> Timer:
        """See `Clock.call_later`."""
        return asyncio.get_running_loop().call_later(delay.total_seconds(), callback)


def new_message_id() -> MessageId:
    """Make a UUIDv7 (RFC 9562, section 5.7): unique, and rising with time."""
    return MessageId(str(uuid_utils.uuid7()))
