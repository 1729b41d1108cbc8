"""Rate limiting by the generic cell rate algorithm (ITU-T I.371, annex A.1).

The limiter stores one time for each key, the theoretical arrival time: when it has passed, the key
has its full burst again.
"""

from collections.abc import Hashable

import attrs

_ROUNDING = 0.0005
"""Waits of at most this many seconds are treated as zero: a thousand times 0.1 added to the time
since 1970 is not exactly 100 in floating point, and the chat's clock has whole milliseconds."""


@attrs.frozen
class Rate:
    """A sustained rate with a burst allowance."""

    per_second: float
    burst: int
    """Maximum number of events at once after an idle period."""


@attrs.define
class RateLimiter:
    """A rate that applies to each key separately. Times are seconds on any monotonic clock."""

    rate: Rate
    _arrival: dict[Hashable, float] = attrs.field(factory=dict, init=False)
    _sweep_at: int = attrs.field(default=1024, init=False)
    _interval: float = attrs.field(init=False)
    _tolerance: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._interval = 1.0 / self.rate.per_second
        self._tolerance = self._interval * (self.rate.burst - 1)

    def wait(self, key: Hashable, now: float) -> float:
        """Return the seconds until the next event is allowed, without counting one."""
        wait = self._arrival.get(key, now) - now - self._tolerance
        return wait if wait > _ROUNDING else 0.0

    def admit(self, key: Hashable, now: float, count: int = 1) -> float:
        """Count an event, or `count` at once, if the rate allows one event.

        Returns:
            0.0 if it was counted. Otherwise the seconds to wait, and nothing was counted.
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

    def undo(self, key: Hashable) -> None:
        """Undo the key's last successful `admit` of one event."""
        self._arrival[key] -= self._interval

    def _sweep(self, now: float) -> None:
        """Remove idle keys; doubling the threshold keeps the amortized cost constant."""
        self._arrival = {key: at for key, at in self._arrival.items() if at > now}
        self._sweep_at = max(1024, 2 * len(self._arrival))


@attrs.frozen
class Rates:
    """Rates for a user and for each of their connections; `None` means unlimited."""

    per_user: Rate | None
    per_connection: Rate | None


@attrs.define
class UserRateLimiter:
    """A rate limiter for both the user and the connection: an event must be within both rates.

    A misbehaving device thus cannot use up the whole allowance of the user's other devices.
    """

    rates: Rates
    _of_users: RateLimiter | None = attrs.field(init=False)
    _of_connections: RateLimiter | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        per_user, per_connection = self.rates.per_user, self.rates.per_connection
        self._of_users = None if per_user is None else RateLimiter(per_user)
        self._of_connections = None if per_connection is None else RateLimiter(per_connection)

    def admit(self, user: Hashable, connection: Hashable, now: float) -> float:
        """Count an event if both rates allow it.

        Returns:
            0.0 if it was counted. Otherwise the seconds to wait, and nothing was counted.
        """
        of_users, of_connections = self._of_users, self._of_connections
        wait = 0.0 if of_connections is None else of_connections.admit(connection, now)
        if of_users is None:
            return wait
        if wait:
            return max(wait, of_users.wait(user, now))
        wait = of_users.admit(user, now)
        if wait and of_connections is not None:
            of_connections.undo(connection)
        return wait
