"""How long a connection that is refused again and again is served."""

from typing import Final

from socketio_app.application.commands import Actor
from socketio_app.application.ports import Clock
from socketio_app.domain.errors import ChatError, Unavailable
from socketio_app.domain.rates import Rate, RateLimiter

BYTES_OF_A_REFUSAL: Final = 16_384
"""A packet that is refused counts once more for each of these: no message is much larger."""


class RefusalLimit:
    """Ends with a client that goes on regardless.

    To refuse is cheap and not free: a client that has gone wild, or means harm, is refused many
    thousand times a second, at the cost of others.
    """

    def __init__(
        self, clock: Clock, per_connection: Rate | None, per_user: Rate | None = None
    ) -> None:
        self._clock = clock
        self._of_connections = None if per_connection is None else RateLimiter(per_connection)
        self._of_users = None if per_user is None else RateLimiter(per_user)

    def exceeded(self, actor: Actor, error: ChatError, size: int = 0) -> bool:
        """Count a refusal; whether it was one too many, and the connection has to end.

        What the server could not do is nobody's fault but its own.

        Args:
            actor: the user, and the connection.
            error: the refusal.
            size: the size in bytes of what was refused. A large packet counts as several.
        """
        return not isinstance(error, Unavailable) and self.exceeded_by_ignored(actor, 1, size)

    def exceeded_by_ignored(self, actor: Actor, count: int = 1, size: int = 0) -> bool:
        """Count packets that are no command as refusals; whether the connection has to end."""
        cost, now = count + size // BYTES_OF_A_REFUSAL, self._clock.now().timestamp()
        ends = False
        if self._of_connections is not None:
            ends = self._of_connections.admit(actor.connection_id, now, cost) > 0
        if self._of_users is not None:
            ends = self._of_users.admit(actor.user_id, now, cost) > 0 or ends
        return ends
