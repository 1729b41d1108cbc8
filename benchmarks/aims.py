"""The goals of the chat, relative to Node's socket.io in the same run."""

from collections.abc import Sequence

import attrs

from benchmarks.compare import Comparison
from benchmarks.servers import NODE, OURS


@attrs.frozen
class Aim:
    """A figure, and the goal for its ratio to Node's."""

    title: str
    comparison: str
    """A key of `suite.AGAINST_ALL`."""
    figure: str
    unit: str
    goal: float
    limit: float
    """An upper bound that applies independently of the goal."""

    def verdict(self, comparison: Comparison) -> str:
        """A short name."""
        ratio = comparison.ratio(OURS, NODE, self.figure)
        if ratio <= self.goal:
            return "reached"
        return "within the limit" if ratio <= self.limit else "missed"


AIMS: Sequence[Aim] = [
    Aim("room of 200, 16 messages in flight", "fanout", "cpu_us", "µs", 0.08, 0.1),
    Aim("room of 200, one message in flight", "fanout_alone", "cpu_us", "µs", 0.55, 0.65),
    Aim("person to person, 200 users", "direct", "cpu_us", "µs", 0.48, 0.6),
    Aim("latency at 20 messages/s, 99th percentile", "latency", "p99_ms", "ms", 0.65, 0.8),
    Aim("memory of an idle connection", "idle", "kib_per_connection", "KiB", 0.2, 0.27),
    Aim("connecting, including token verification", "idle", "connect_cpu_us", "µs", 0.18, 0.3),
]
