"""How often something may happen: the generic cell rate algorithm (ITU-T I.371, annex A.1).

It keeps one time for each key, the theoretical arrival time: the moment at which the key would be
as rested as one that was never seen.
"""

from collections.abc import Hashable

import attrs


@attrs.frozen
class Rate:
    """So many a second, in the long run."""

    per_second: float
    burst: int
    """How many may come at once after a rest."""


@attrs.define
class RateLimiter:
    """One rate, applied to every key by itself. Times are seconds on any clock that only rises."""

    rate: Rate
    _arrival: dict[Hashable, float] = attrs.field(factory=dict, init=False)
    _sweep_at: int = attrs.field(default=1024, init=False)

    def admit(self, key: Hashable, now: float) -> float:
        """Take one, if the rate allows it.

        Returns:
            0.0 when it was taken; else how many seconds to wait, and nothing was taken.
        """
        interval = 1.0 / self.rate.per_second
        arrival = max(self._arrival.get(key, now), now)
        wait = arrival - now - interval * (self.rate.burst - 1)
        if wait > 0:
            return wait
        self._arrival[key] = arrival + interval
        if len(self._arrival) >= self._sweep_at:
            self._sweep(now)
        return 0.0

    def _sweep(self, now: float) -> None:
        """Forget the rested keys. As the mark doubles, it is constant work for each `admit`."""
        self._arrival = {key: at for key, at in self._arrival.items() if at > now}
        self._sweep_at = max(1024, 2 * len(self._arrival))
