"""The use cases of a connection's token: it ends, and the connection with it; or is renewed."""

from datetime import datetime, timedelta
from typing import Final

import attrs

from socketio_app.application.cancellation import to_the_end
from socketio_app.application.commands import Actor, RefreshToken, TokenRefreshed
from socketio_app.application.events import OneConnection, TokenExpiring
from socketio_app.application.ports import Broadcast, Clock, Timer, TokenVerifier
from socketio_app.domain.connections import Connections
from socketio_app.domain.deadlines import Deadlines
from socketio_app.domain.errors import InvalidPayload, Unauthenticated
from socketio_app.domain.identifiers import ConnectionId, UserId

WARNING: Final = timedelta(seconds=60)
"""How long before its token's end a connection is warned; half its life where that is shorter."""

_LONGEST_WAIT: Final = timedelta(minutes=5)
"""No timer runs longer: tokens end by wall time, and the machine's clock may be set meanwhile."""


@attrs.frozen
class _Token:
    user_id: UserId
    ends_at: datetime
    is_warned: bool = False


class Tokens:
    """Keeps each open connection's token's end, all of them by one timer."""

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
        """Let an open connection live until its token ends, in place of the one that it had.

        Args:
            user_id: whose it is.
            connection_id: which.
            ends_at: when; `None`: never.
        """
        if ends_at is None:
            self.untrack(connection_id)
            return
        before = self._tokens.get(connection_id)
        # A client that has no better token is not warned again: it would ask in a loop.
        is_warned = before is not None and before.is_warned and ends_at <= before.ends_at
        self._tokens[connection_id] = _Token(user_id, ends_at, is_warned)
        left = max(ends_at - self._clock.wall_time(), timedelta(0))
        warning = timedelta(0) if is_warned else min(WARNING, left / 2)
        self._deadlines.set(connection_id, ends_at - warning)
        self._tick()

    def untrack(self, connection_id: ConnectionId) -> None:
        """The connection has ended, or has no end."""
        if self._tokens.pop(connection_id, None) is not None:
            self._deadlines.call_off(connection_id)
            if not self._tokens:
                self._stop_waiting()

    async def refresh(self, actor: Actor, command: RefreshToken) -> TokenRefreshed:
        """Let a connection live as long as another token of its user's.

        Raises:
            Unauthenticated: the token is not valid, or another user's.
            TokenExpired: it was good once.
            InvalidPayload: it is no connection that asks.
        """
        if actor.connection_id is None:
            raise InvalidPayload("only a connection has a token")
        # A host application's own check may ask which task it is in.
        identity = await to_the_end(self._verifier.verify(command.token))
        if identity.user_id != actor.user_id:
            message = "the token is another user's"
            raise Unauthenticated(message, reason=message)
        if self._connections.is_open(actor.user_id, actor.connection_id):
            self.track(actor.user_id, actor.connection_id, identity.expires_at)
        return TokenRefreshed(identity.expires_at)

    def _tick(self) -> None:
        """Do what is due, and wait for what is next."""
        now = self._clock.wall_time()
        for connection_id in self._deadlines.take_due(now):
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
            wait = min(due - now, _LONGEST_WAIT)
            self._timer_due = now + wait
            self._timer = self._clock.call_later(wait, self._wake)

    def _wake(self) -> None:
        self._timer = self._timer_due = None
        self._tick()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timer_due = None
