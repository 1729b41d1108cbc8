"""Admission of commands: rate limits, and rejection while the chat is not running."""

from collections.abc import Mapping
from math import ceil
from typing import Any

from socketio_app.application.commands import Actor, Command, CommandKind
from socketio_app.application.home_loop import NOT_STARTED
from socketio_app.application.ports import Clock
from socketio_app.domain.errors import RateLimited, Unavailable
from socketio_app.domain.rates import Rates, UserRateLimiter


class Admission:
    """Rejects commands before any work is done for them."""

    def __init__(self, clock: Clock, rates: Mapping[CommandKind, Rates]) -> None:
        self._clock = clock
        self._closed_because: str | None = NOT_STARTED
        self._limiters = {kind: UserRateLimiter(each) for kind, each in rates.items()}

    def open(self) -> None:
        """Start accepting commands."""
        self._closed_because = None

    def close(self) -> None:
        """Reject all further commands."""
        self._closed_because = "the server is shutting down; reconnect and retry"

    def check(self, actor: Actor, command: type[Command[Any]]) -> None:
        """Check that a command may be executed now.

        Rate limits apply to connections only: the host application is trusted.

        Raises:
            Unavailable: the chat is closing, or was never started.
            RateLimited: the user or the connection exceeds its rate.
        """
        if self._closed_because is not None:
            raise Unavailable(self._closed_because)
        limiter = self._limiters.get(command.kind)
        if limiter is None or actor.connection_id is None:
            return
        now = self._clock.now().timestamp()
        wait = limiter.admit(actor.user_id, actor.connection_id, now)
        if wait:
            raise RateLimited("rate limit exceeded", retry_after_ms=ceil(wait * 1000))
