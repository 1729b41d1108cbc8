"""The states of a Socket.IO session, and the transitions between them."""

from collections.abc import Mapping
from enum import StrEnum, auto
from typing import Final


class State(StrEnum):
    """The state of a session."""

    NEW = auto()
    """No CONNECT was received, or the client has disconnected and may connect again."""
    CONNECTING = auto()
    """The client's token is being verified and its missed messages are being read."""
    REJECTED = auto()
    """A CONNECT was rejected. Packets that clients sent right after it are dropped unread."""
    CONNECTED = auto()
    """The client is authenticated."""
    CLOSED = auto()
    """The Engine.IO session has ended."""


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.NEW: frozenset({State.CONNECTING, State.REJECTED, State.CLOSED}),
    State.CONNECTING: frozenset({State.CONNECTED, State.REJECTED, State.CLOSED}),
    State.REJECTED: frozenset({State.CONNECTING, State.REJECTED, State.CLOSED}),
    State.CONNECTED: frozenset({State.NEW, State.REJECTED, State.CLOSED}),
    State.CLOSED: frozenset(),
}
"""The states that may follow each state. A session that was `REJECTED` before it was `CONNECTED`
may be `REJECTED` again."""
