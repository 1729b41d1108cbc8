"""The goals of the chat: ratios to Node in the same run, and figures with a database."""

from collections.abc import Mapping, Sequence

import attrs

from benchmarks.compare import Comparison
from benchmarks.servers import NODE, OURS


@attrs.frozen
class Goal:
    """A goal, and a limit that applies independently of it.

    A goal above its limit is one for which more is better.
    """

    goal: float
    limit: float

    def verdict(self, value: float) -> str:
        """A short name."""
        if self._is_met(value, self.goal):
            return "reached"
        return "within the limit" if self._is_met(value, self.limit) else "missed"

    def _is_met(self, value: float, bound: float) -> bool:
        return value >= bound if self.goal > self.limit else value <= bound


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
        return Goal(self.goal, self.limit).verdict(ratio)


AIMS: Sequence[Aim] = [
    Aim("room of 200, 16 messages in flight", "fanout", "cpu_us", "µs", 0.08, 0.1),
    Aim("room of 200, one message in flight", "fanout_alone", "cpu_us", "µs", 0.55, 0.65),
    Aim("person to person, 200 users", "direct", "cpu_us", "µs", 0.48, 0.6),
    Aim("latency at 20 messages/s, 99th percentile", "latency", "p99_ms", "ms", 0.65, 0.8),
    Aim("memory of an idle connection", "idle", "kib_per_connection", "KiB", 0.2, 0.27),
    Aim("connecting, including token verification", "idle", "connect_cpu_us", "µs", 0.18, 0.3),
]

DURABLE_DIRECT: Mapping[str, Goal] = {"SQLite": Goal(45, 55), "PostgreSQL": Goal(45, 55)}
"""The chat's CPU per delivery from person to person, in µs, by database."""

APPENDS: Mapping[str, Goal] = {
    "SQLite": Goal(17_000, 14_000),
    "PostgreSQL": Goal(30_000, 24_000),
}
"""Appends a second with 64 callers, by database."""
