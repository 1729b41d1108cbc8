"""What the chat counts of itself.

Plain numbers, which cost a fraction of a microsecond to keep; what makes something of them, for a
metrics system, reads them when it is asked.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from time import time
from typing import Final

import attrs

from socketio_app.application.events import Event, MessageSent

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Of what lasts: a fraction of a frame on the screen, up to where a person gives up."""

SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Of how many writes there are in a transaction."""

OTHER: Final = "other"
"""Stands for every name that a client has made up: their number is not to grow."""


@attrs.define
class Histogram:
    """How many values there were of each size."""

    bounds: Sequence[float]
    """The highest value, itself included, of each bucket but the last, which has all the rest."""
    counts: list[int] = attrs.field(init=False)
    """How many are in each bucket."""
    total: float = attrs.field(default=0.0, init=False)
    """All values together."""

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@attrs.define
class CommandMetrics:
    """What became of one kind of command."""

    outcomes: defaultdict[str, int] = attrs.field(factory=lambda: defaultdict(int))
    """How many: `ok`, or the error's code."""
    seconds: Histogram = attrs.field(factory=lambda: Histogram(SECONDS))
    """From the frame to the acknowledgement, or to where it would be."""


class Metrics:
    """Counts from the start of the process.

    Args:
        commands: the names of the commands that there are.
        now: the time, in seconds since 1970. The clock's own costs twice as much.
    """

    def __init__(self, commands: Iterable[str], now: Callable[[], float] = time) -> None:
        self._now = now
        self.commands = {name: CommandMetrics() for name in (*commands, OTHER)}
        self._other = self.commands[OTHER]
        self.opened = 0
        """Connections that were let in."""
        self.closed: defaultdict[str, int] = defaultdict(int)
        """Of those, how many have ended, by the reason."""
        self.refused: defaultdict[str, int] = defaultdict(int)
        """Connections that were not let in, by the error's code."""
        self.deliveries = 0
        """Events handed to connections."""
        self.delivery_seconds = Histogram(SECONDS)
        """From a message's acceptance until its last recipient's connection has it."""
        self.commit_sizes = Histogram(SIZES)
        """How many writes there were in each transaction."""
        self.commit_seconds = Histogram(SECONDS)

    def command(self, name: str, outcome: str, seconds: float) -> None:
        """Count a command."""
        metric = self.commands.get(name, self._other)
        metric.outcomes[outcome] += 1
        metric.seconds.observe(seconds)

    def count_broadcast(self, event: Event, connections: int) -> None:
        """Count an event that was handed to so many connections."""
        self.deliveries += connections
        if type(event) is MessageSent:
            # The machine's time may have been set back since.
            lasted = self._now() - event.message.created_at.timestamp()
            self.delivery_seconds.observe(lasted if lasted > 0 else 0.0)

    def committed(self, writes: int, seconds: float) -> None:
        """Count a transaction of the store's."""
        self.commit_sizes.observe(writes)
        self.commit_seconds.observe(seconds)
