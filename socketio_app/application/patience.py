"""How long a connection that is refused again and again is served."""

from socketio_app.application.ports import Clock
from socketio_app.domain.errors import ChatError, Unavailable
from socketio_app.domain.identifiers import ConnectionId
from socketio_app.domain.rates import Rate, RateLimiter


class Patience:
    """Ends with a client that goes on regardless.

    To refuse is cheap and not free: a client that has gone wild, or means harm, is refused many
    thousand times a second, at the cost of others.
    """

    def __init__(self, clock: Clock, refusals: Rate | None) -> None:
        self._clock = clock
        self._limiter = None if refusals is None else RateLimiter(refusals)

    def ends_with(self, connection_id: ConnectionId, error: ChatError) -> bool:
        """Count a refusal; whether it was one too many, and the connection has to end.

        What the server could not do is nobody's fault but its own.
        """
        if self._limiter is None or isinstance(error, Unavailable):
            return False
        return self._limiter.admit(connection_id, self._clock.now().timestamp()) > 0
