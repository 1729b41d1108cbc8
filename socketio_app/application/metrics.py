"""Counters and histograms of the chat.

These are plain numbers, which cost a fraction of a microsecond to update. An adapter for a metrics
system reads them on request.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from time import time
from typing import Final

import attrs

from socketio_app.application.events import Event, MessageSent

DURATION_BUCKETS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
"""Buckets for durations: from a fraction of a video frame to when a person gives up."""

SIZE_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Buckets for the number of writes in a transaction."""

OTHER: Final = "other"
"""Label for all unknown commands, so that clients cannot create labels."""


@attrs.define
class Histogram:
    """A histogram with fixed buckets."""

    bounds: Sequence[float]
    """Inclusive upper bounds of the buckets; one more bucket holds all greater values."""
    counts: list[int] = attrs.field(init=False)
    """Number of values in each bucket."""
    total: float = attrs.field(default=0.0, init=False)
    """Sum of all values."""

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@attrs.define
class CommandMetrics:
    """Outcomes and durations of one kind of command."""

    outcomes: defaultdict[str, int] = attrs.field(factory=lambda: defaultdict(int))
    """Number of commands by outcome: `ok`, or the error's code."""
    seconds: Histogram = attrs.field(factory=lambda: Histogram(DURATION_BUCKETS))
    """Time from the frame to the acknowledgement, or to the point where one would be sent."""


class Metrics:
    """Metrics since the start of the process.

    Args:
        commands: names of all commands.
        now: returns the time in seconds since 1970; `Clock` costs twice as much.
    """

    def __init__(self, commands: Iterable[str], now: Callable[[], float] = time) -> None:
        self._now = now
        self.commands = {name: CommandMetrics() for name in (*commands, OTHER)}
        self._other = self.commands[OTHER]
        self.opened = 0
        """Connections opened."""
        self.closed: defaultdict[str, int] = defaultdict(int)
        """Connections closed, by reason."""
        self.refused: defaultdict[str, int] = defaultdict(int)
        """Connections rejected, by the error's code."""
        self.deliveries = 0
        """Events written to connections."""
        self.delivery_seconds = Histogram(DURATION_BUCKETS)
        """Time from accepting a message to writing it to the last recipient's connection."""
        self.commit_sizes = Histogram(SIZE_BUCKETS)
        """Number of writes per transaction."""
        self.commit_seconds = Histogram(DURATION_BUCKETS)

    def count_command(self, name: str, outcome: str, seconds: float) -> None:
        """Count a command."""
        metric = self.commands.get(name, self._other)
        metric.outcomes[outcome] += 1
        metric.seconds.observe(seconds)

    def count_broadcast(self, event: Event, connections: int) -> None:
        """Count an event that was written to a number of connections."""
        self.deliveries += connections
        if type(event) is MessageSent:
            # The machine's clock may have been set back since.
            duration = self._now() - event.message.created_at.timestamp()
            self.delivery_seconds.observe(duration if duration > 0 else 0.0)

    def count_commit(self, writes: int, seconds: float) -> None:
        """Count a transaction of the store."""
        self.commit_sizes.observe(writes)
        self.commit_seconds.observe(seconds)
