"""How often something may happen: the generic cell rate algorithm (ITU-T I.371, annex A.1).

It keeps one time for each key, the theoretical arrival time: the moment at which the key would be
as rested as one that was never seen.
"""

from collections.abc import Hashable

import attrs

_ROUNDING = 0.0005
"""Seconds that count for nothing: a thousand tenths added to the time since 1970 are not a hundred
in floating point, and the chat's clock has whole milliseconds."""


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
    _interval: float = attrs.field(init=False)
    _tolerance: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._interval = 1.0 / self.rate.per_second
        self._tolerance = self._interval * (self.rate.burst - 1)

    def wait(self, key: Hashable, now: float) -> float:
        """How many seconds to wait until one can be taken; 0.0: none. Nothing is taken."""
        wait = self._arrival.get(key, now) - now - self._tolerance
        return wait if wait > _ROUNDING else 0.0

    def admit(self, key: Hashable, now: float, count: int = 1) -> float:
        """Take one, or `count` at once, if the rate allows one.

        Returns:
            0.0 when it was taken; else how many seconds to wait, and nothing was taken.
        """
        arrival = self._arrival.get(key, now)
        if arrival < now:
            arrival = now
        wait = arrival - now - self._tolerance
        if wait > _ROUNDING:
            return wait
        self._arrival[key] = arrival + self._interval * count
        if len(self._arrival) >= self._sweep_at:
            self._sweep(now)
        return 0.0

    def give_back(self, key: Hashable) -> None:
        """Undo the last `admit` of a key that took one."""
        self._arrival[key] -= self._interval

    def _sweep(self, now: float) -> None:
        """Forget the rested keys. As the mark doubles, it is constant work for each `admit`."""
        self._arrival = {key: at for key, at in self._arrival.items() if at > now}
        self._sweep_at = max(1024, 2 * len(self._arrival))


@attrs.frozen
class Rates:
    """How fast somebody may be, altogether and over one way; `None`: as fast as they like."""

    per_user: Rate | None
    per_connection: Rate | None


@attrs.define
class DoubleLimiter:
    """Two rates, of which each has to allow what is taken: one of a user, one of a connection.

    So a device that has gone wild leaves something for the user's others.
    """

    rates: Rates
    _of_users: RateLimiter | None = attrs.field(init=False)
    _of_connections: RateLimiter | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        per_user, per_connection = self.rates.per_user, self.rates.per_connection
        self._of_users = None if per_user is None else RateLimiter(per_user)
        self._of_connections = None if per_connection is None else RateLimiter(per_connection)

    def admit(self, user: Hashable, connection: Hashable, now: float) -> float:
        """Take one, if both rates allow it.

        Returns:
            0.0 when it was taken; else how many seconds to wait, and nothing was taken.
        """
        of_users, of_connections = self._of_users, self._of_connections
        wait = 0.0 if of_connections is None else of_connections.admit(connection, now)
        if of_users is None:
            return wait
        if wait:
            return max(wait, of_users.wait(user, now))
        wait = of_users.admit(user, now)
        if wait and of_connections is not None:
            of_connections.give_back(connection)
        return wait
