"""Hooks: functions of the host application that are called after something happened in the chat."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import attrs

from socketio_app.application.signatures import accepts
from socketio_app.domain.identifiers import ConnectionId, UserId
from socketio_app.domain.messaging import Message


@attrs.frozen
class ConnectionOpened:
    """A connection of a user was opened."""

    user_id: UserId
    connection_id: ConnectionId
    opened_at: datetime
    is_first: bool
    """Whether it is the user's only connection to this process."""


@attrs.frozen
class ConnectionClosed:
    """A connection of a user was closed."""

    user_id: UserId
    connection_id: ConnectionId
    closed_at: datetime
    is_last: bool
    """Whether the user has no other connection to this process."""


Subject = TypeVar("Subject")

Hook = Callable[[Subject], Awaitable[object] | object]
"""A sync or async function with one argument. Its result is ignored."""


def _hook() -> Any:
    return attrs.field(default=None, validator=_check_hook)


def _check_hook(_instance: object, field: "attrs.Attribute[Any]", hook: object) -> None:
    if hook is None:
        return
    if not callable(hook):
        raise TypeError(f"{field.name} must be a function, not {type(hook).__name__}")
    if not accepts(hook, None):
        raise TypeError(f"{field.name} must be a function that takes one argument")


def _bounded(default: float, lowest: float, highest: float) -> Any:
    def check(_instance: object, field: "attrs.Attribute[Any]", value: Any) -> None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not lowest <= value <= highest:  # also true for NaN
            raise ValueError(f"{field.name} must be from {lowest:g} to {highest:g}, not {value!r}")

    return attrs.field(default=default, validator=check)


_A_DAY_SECONDS: Final = 86_400


@attrs.frozen(kw_only=True)
class Hooks:
    """Functions to call after something happened in the chat, and their bounds (docs/hooks.md).

    Async functions run in the event loop of the chat, other functions in threads. No message waits
    for them.

    Raises:
        TypeError: a hook is not a function of one argument.
        ValueError: a bound is out of range.
    """

    on_message: Hook[Message] | None = _hook()
    """Called with each message after it was stored and broadcast, in order of `seq` within each
    conversation."""
    on_connect: Hook[ConnectionOpened] | None = _hook()
    """Called after a connection was opened."""
    on_disconnect: Hook[ConnectionClosed] | None = _hook()
    """Called after a connection was closed, and after `on_connect` for it has returned."""
    on_undelivered: Hook[Message] | None = _hook()
    """Called with each personal message that none of its recipient's clients has received within
    `undelivered_after_seconds`, for example to send a push notification."""
    undelivered_after_seconds: float = _bounded(10, 0.001, _A_DAY_SECONDS)
    """Time that a personal message has to be delivered."""
    timeout_seconds: float = _bounded(30, 0.001, _A_DAY_SECONDS)
    """Time after which a call is logged as timed out, and cancelled if it is async. A thread cannot
    be cancelled: it is one of the concurrent calls until it ends."""
    shutdown_seconds: float = _bounded(5, 0, _A_DAY_SECONDS)
    """Maximum time for waiting calls at shutdown; later ones are dropped."""
    max_waiting: int = _bounded(10_000, 1, 1_000_000)
    """Maximum number of calls that wait: of `on_message`, of `on_undelivered`, and of the hooks of
    connections each. Further ones are dropped."""
    max_concurrent: int = _bounded(8, 1, 1000)
    """Maximum number of concurrent calls, likewise."""

    @property
    def are_set(self) -> bool:
        """Whether there is a hook to call."""
        return any((self.on_message, self.on_connect, self.on_disconnect, self.on_undelivered))
