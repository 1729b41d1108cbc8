"""What the chat is to reach, against Node's socket.io in the same run; and how far it is."""

from collections.abc import Sequence

import attrs

from benchmarks.compare import Comparison
from benchmarks.servers import NODE, OURS


@attrs.frozen
class Aim:
    """A figure, and how many times Node's it may be."""

    title: str
    comparison: str
    """A key of `suite.AGAINST_ALL`."""
    figure: str
    unit: str
    goal: float
    limit: float
    """What it must not be over, whatever the goal."""

    def verdict(self, comparison: Comparison) -> str:
        """In a word or two."""
        ratio = comparison.ratio(OURS, NODE, self.figure)
        if ratio <= self.goal:
            return "reached"
        return "within the limit" if ratio <= self.limit else "missed"


AIMS: Sequence[Aim] = [
    Aim("room of 200, 16 messages in flight", "fanout", "cpu_us", "µs", 0.35, 0.6),
    Aim("room of 200, one message in flight", "fanout_alone", "cpu_us", "µs", 0.65, 0.8),
    Aim("person to person, 200 users", "direct", "cpu_us", "µs", 0.8, 1.2),
    Aim("latency at 20 messages/s, 99th percentile", "latency", "p99_ms", "ms", 0.7, 1.0),
    Aim("memory of an idle connection", "idle", "kib_per_connection", "KiB", 0.35, 0.6),
    Aim("connecting, including token verification", "idle", "connect_cpu_us", "µs", 0.8, 1.0),
]
