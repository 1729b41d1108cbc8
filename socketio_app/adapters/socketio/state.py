"""The states of a Socket.IO session, and the transitions between them."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """What a session is doing."""

    NEW = auto()
    """No CONNECT has come, or the client has disconnected and may connect again."""
    CONNECTING = auto()
    """The client's token is being verified, and what it missed is being read."""
    REFUSED = auto()
    """A CONNECT was refused. Other packets are dropped unread: clients send some behind it."""
    CONNECTED = auto()
    """The client is authenticated."""
    CLOSED = auto()
    """The Engine.IO session has ended."""


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.NEW: frozenset({State.CONNECTING, State.REFUSED, State.CLOSED}),
    State.CONNECTING: frozenset({State.CONNECTED, State.REFUSED, State.CLOSED}),
    State.REFUSED: frozenset({State.CONNECTING, State.REFUSED, State.CLOSED}),
    State.CONNECTED: frozenset({State.NEW, State.REFUSED, State.CLOSED}),
    State.CLOSED: frozenset(),
}
"""The states that may follow each state. A refusal is remembered beyond a later connection."""
