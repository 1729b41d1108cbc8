"""A clock that tests advance manually."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs


@attrs.define(eq=False)
class ManualTimer:
    """A scheduled callback."""

    due: datetime
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """Implements the `Clock` port; its time changes only when it is advanced."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self._wall_ahead = timedelta(0)
        self._timers: list[ManualTimer] = []

    def now(self) -> datetime:
        return self._now

    def wall_time(self) -> datetime:
        return self._now + self._wall_ahead

    def set_wall_time(self, ahead: timedelta) -> None:
        """Set the difference between `wall_time` and `now`, as after a clock correction."""
        self._wall_ahead = ahead

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(self._now + max(delay, timedelta(0)), callback)
        self._timers.append(timer)
        return timer

    def advance(self, by: timedelta) -> None:
        """Advance the time, and run due callbacks, each at its time."""
        end = self._now + by
        while due := self._due(end):
            timer = min(due, key=lambda timer: timer.due)
            self._timers.remove(timer)
            self._now = timer.due
            timer.callback()
        self._now = end

    def _due(self, end: datetime) -> list[ManualTimer]:
        self._timers = [timer for timer in self._timers if not timer.cancelled]
        return [timer for timer in self._timers if timer.due <= end]
