"""Closing connections whose packets are rejected too often."""

from typing import Final

from socketio_app.application.commands import Actor
from socketio_app.application.ports import Clock
from socketio_app.domain.errors import ChatError, Unavailable
from socketio_app.domain.rates import Rate, RateLimiter

BYTES_PER_REFUSAL: Final = 16_384
"""Bytes of a rejected packet that count as one more rejection; valid messages are hardly larger."""


class RefusalLimit:
    """Limits the rate of rejections per connection and per user.

    Rejecting a packet is cheap, but not free: a faulty or hostile client could cause many thousand
    rejections per second, at the expense of other clients.
    """

    def __init__(
        self, clock: Clock, per_connection: Rate | None, per_user: Rate | None = None
    ) -> None:
        self._clock = clock
        self._of_connections = None if per_connection is None else RateLimiter(per_connection)
        self._of_users = None if per_user is None else RateLimiter(per_user)

    def exceeded(self, actor: Actor, error: ChatError, size: int = 0) -> bool:
        """Count a rejection; return whether the limit is exceeded and the connection must close.

        `Unavailable` is not counted: it is not the client's fault.

        Args:
            actor: the user and the connection.
            error: the rejection.
            size: size of the rejected packet in bytes. A large packet counts as several.
        """
        return not isinstance(error, Unavailable) and self.exceeded_by_ignored(actor, 1, size)

    def exceeded_by_ignored(self, actor: Actor, count: int = 1, size: int = 0) -> bool:
        """Count packets that are not commands as rejections, like `exceeded`."""
        last_cost, now = 1 + size // BYTES_PER_REFUSAL, self._clock.now().timestamp()
        # `admit` allows any count after a quiet period: the last packet is counted separately.
        costs = (last_cost,) if count == 1 else (count - 1, last_cost)
        exceeded = False
        for limiter, key in (
            (self._of_connections, actor.connection_id),
            (self._of_users, actor.user_id),
        ):
            if limiter is not None:
                exceeded = any(limiter.admit(key, now, cost) > 0 for cost in costs) or exceeded
        return exceeded
