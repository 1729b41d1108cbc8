"""How long a connection that is refused again and again is served."""

from typing import Final

from socketio_app.application.ports import Clock
from socketio_app.domain.errors import ChatError, Unavailable
from socketio_app.domain.identifiers import ConnectionId
from socketio_app.domain.rates import Rate, RateLimiter

BYTES_OF_A_REFUSAL: Final = 16_384
"""A packet that is refused counts once more for each of these: no message is much larger."""


class Patience:
    """Ends with a client that goes on regardless.

    To refuse is cheap and not free: a client that has gone wild, or means harm, is refused many
    thousand times a second, at the cost of others.
    """

    def __init__(self, clock: Clock, refusals: Rate | None) -> None:
        self._clock = clock
        self._limiter = None if refusals is None else RateLimiter(refusals)

    def ends_with(self, connection_id: ConnectionId, error: ChatError, size: int = 0) -> bool:
        """Count a refusal; whether it was one too many, and the connection has to end.

        What the server could not do is nobody's fault but its own.

        Args:
            connection_id: the connection.
            error: the refusal.
            size: the size in bytes of what was refused. A large packet counts as several.
        """
        return not isinstance(error, Unavailable) and self.ends_with_ignored(connection_id, 1, size)

    def ends_with_ignored(self, connection_id: ConnectionId, count: int = 1, size: int = 0) -> bool:
        """Count packets that are no command as refusals; whether the connection has to end."""
        if self._limiter is None:
            return False
        cost = count + size // BYTES_OF_A_REFUSAL
        return self._limiter.admit(connection_id, self._clock.now().timestamp(), cost) > 0
