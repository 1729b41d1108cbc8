"""Token expiry and refresh of open connections."""

from datetime import datetime, timedelta
from typing import Final

import attrs

from socketio_app.application.cancellation import run_to_completion
from socketio_app.application.commands import Actor, RefreshToken, TokenRefreshed
from socketio_app.application.events import OneConnection, TokenExpiring
from socketio_app.application.ports import Broadcast, Clock, Timer, TokenVerifier
from socketio_app.application.use_cases import carries_out
from socketio_app.domain.connections import Connections
from socketio_app.domain.deadlines import Deadlines
from socketio_app.domain.errors import InvalidPayload, Unauthenticated
from socketio_app.domain.identifiers import ConnectionId, UserId

WARNING: Final = timedelta(seconds=60)
"""Time before expiry at which a connection is warned; half the remaining time if that is less."""

_MAX_WAIT: Final = timedelta(minutes=5)
"""Maximum delay of the timer: tokens expire by wall time, and the machine's clock can be set."""


@attrs.frozen
class _Token:
    user_id: UserId
    ends_at: datetime
    is_warned: bool = False


class Tokens:
    """Closes open connections when their tokens expire. One timer serves all of them."""

    def __init__(
        self,
        verifier: TokenVerifier,
        broadcast: Broadcast,
        clock: Clock,
        connections: Connections,
    ) -> None:
        self._verifier = verifier
        self._connections = connections
        self._broadcast = broadcast
        self._clock = clock
        self._tokens: dict[ConnectionId, _Token] = {}
        self._deadlines: Deadlines[ConnectionId] = Deadlines()
        self._timer: Timer | None = None
        self._timer_due: datetime | None = None

    def track(self, user_id: UserId, connection_id: ConnectionId, ends_at: datetime | None) -> None:
        """Set the expiry of an open connection's token, replacing any earlier one.

        Args:
            user_id: the connection's user.
            connection_id: the connection.
            ends_at: expiry of the token; `None` if it does not expire.
        """
        if ends_at is None:
            self.untrack(connection_id)
            return
        before = self._tokens.get(connection_id)
        # Warn only once unless the new token lasts longer; otherwise the client would refresh in
        # a loop.
        is_warned = before is not None and before.is_warned and ends_at <= before.ends_at
        self._tokens[connection_id] = _Token(user_id, ends_at, is_warned)
        left = max(ends_at - self._clock.wall_time(), timedelta(0))
        warning = timedelta(0) if is_warned else min(WARNING, left / 2)
        due = ends_at - warning
        self._deadlines.set(connection_id, due)
        if self._timer_due is None or due < self._timer_due:
            self._tick()

    def untrack(self, connection_id: ConnectionId) -> None:
        """Stop tracking a connection that is closed, or whose token does not expire."""
        if self._tokens.pop(connection_id, None) is not None:
            self._deadlines.cancel(connection_id)
            if not self._tokens:
                self._stop_waiting()

    @carries_out(RefreshToken)
    async def refresh(self, actor: Actor, command: RefreshToken) -> TokenRefreshed:
        """Replace a connection's token by another one of the same user.

        Raises:
            Unauthenticated: the token is invalid, or belongs to another user.
            TokenExpired: the token has expired.
            InvalidPayload: the actor has no connection.
        """
        if actor.connection_id is None:
            raise InvalidPayload("only a connection can refresh its token")
        # In a task of its own, because a custom verifier may need a current task.
        identity = await run_to_completion(self._verifier.verify(command.token))
        if identity.user_id != actor.user_id:
            message = "the token belongs to another user"
            raise Unauthenticated(message, reason=message)
        if self._connections.is_open(actor.user_id, actor.connection_id):
            self.track(actor.user_id, actor.connection_id, identity.expires_at)
        return TokenRefreshed(identity.expires_at)

    def _tick(self) -> None:
        """Handle the tokens that are due, and set the timer for the next one."""
        now = self._clock.wall_time()
        for connection_id in self._deadlines.pop_due(now):
            token = self._tokens[connection_id]
            audience = OneConnection(token.user_id, connection_id)
            if token.ends_at <= now:
                del self._tokens[connection_id]
                self._broadcast.disconnect(audience, "token_expired")
            else:
                self._tokens[connection_id] = attrs.evolve(token, is_warned=True)
                self._deadlines.set(connection_id, token.ends_at)
                self._broadcast.publish(TokenExpiring(token.ends_at, token.ends_at - now), audience)
        self._wait(now)

    def _wait(self, now: datetime) -> None:
        due = self._deadlines.next()
        if due is None:
            self._stop_waiting()
        elif self._timer_due is None or due < self._timer_due:
            self._stop_waiting()
            wait = min(due - now, _MAX_WAIT)
            self._timer_due = now + wait
            self._timer = self._clock.call_later(wait, self._wake)

    def _wake(self) -> None:
        self._timer = self._timer_due = None
        self._tick()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timer_due = None
