"""Time that a test moves by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs


@attrs.define(eq=False)
class ManualTimer:
    """A call that is due at a time."""

    due: datetime
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """Implements the `Clock` port; time stands still until it is advanced."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self._wall_ahead = timedelta(0)
        self._timers: list[ManualTimer] = []

    def now(self) -> datetime:
        return self._now

    def wall_time(self) -> datetime:
        return self._now + self._wall_ahead

    def set_wall_time(self, ahead: timedelta) -> None:
        """Set the machine's clock to differ from `now`, as after it was corrected."""
        self._wall_ahead = ahead

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(self._now + max(delay, timedelta(0)), callback)
        self._timers.append(timer)
        return timer

    def advance(self, by: timedelta) -> None:
        """Let time pass, and what is due on the way happen, each at its time."""
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
