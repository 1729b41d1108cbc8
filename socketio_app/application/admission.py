"""Which commands are let in: not too fast, and none once the chat is closing."""

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from socketio_app.application.commands import (
    Actor,
    CatchUp,
    Command,
    FetchHistory,
    JoinRoom,
    LeaveRoom,
    ListConversations,
    MarkRead,
    RefreshToken,
    SendMessage,
    StartTyping,
    StopTyping,
)
from socketio_app.application.limits import CommandKind
from socketio_app.application.ports import Clock
from socketio_app.domain.errors import RateLimited, Unavailable
from socketio_app.domain.rates import DoubleLimiter, Rates

NOT_STARTED: Final = "the chat has not started: the application's lifespan has not run"

KINDS: Mapping[type[Command[Any]], CommandKind] = {
    SendMessage: "send",
    JoinRoom: "membership",
    LeaveRoom: "membership",
    StartTyping: "typing",
    StopTyping: "typing",
    FetchHistory: "reading",
    ListConversations: "reading",
    CatchUp: "reading",
    MarkRead: "reading",
    RefreshToken: "token",
}


class Admission:
    """Refuses commands before anything is done for them."""

    def __init__(self, clock: Clock, rates: Mapping[CommandKind, Rates]) -> None:
        self._clock = clock
        self._closed_because: str | None = NOT_STARTED
        by_kind = {kind: DoubleLimiter(each) for kind, each in rates.items()}
        self._limiters = {
            command: by_kind[kind] for command, kind in KINDS.items() if kind in by_kind
        }

    def open(self) -> None:
        """Admit what is not too fast."""
        self._closed_because = None

    def close(self) -> None:
        """Admit nothing any more."""
        self._closed_because = "the server is going away; connect again and retry"

    def check(self, actor: Actor, command: type[Command[Any]]) -> None:
        """Let a command in.

        Rates count for connections only; the host application is trusted to know what it does.

        Raises:
            Unavailable: the chat is closing, or was never started.
            RateLimited: the user is too fast, or the connection is.
        """
        if self._closed_because is not None:
            raise Unavailable(self._closed_because)
        limiter = self._limiters.get(command)
        if limiter is None or actor.connection_id is None:
            return
        now = self._clock.now().timestamp()
        wait = limiter.admit(actor.user_id, actor.connection_id, now)
        if wait:
            raise RateLimited("too fast", retry_after_ms=ceil(wait * 1000))
