"""The states of an Engine.IO session, and the transitions between them."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """What a session is doing."""

    OPENING = auto()
    """The handshake is not answered yet."""
    POLLING = auto()
    """The client polls."""
    UPGRADING = auto()
    """The client is changing from polling to a WebSocket, and polls no more."""
    WEBSOCKET = auto()
    """The client uses a WebSocket."""
    ENDING = auto()
    """The session ends in the next turn of the event loop. What the client sends is ignored."""
    CLOSED = auto()
    """The session has ended."""


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.OPENING: frozenset({State.POLLING, State.WEBSOCKET, State.ENDING, State.CLOSED}),
    State.POLLING: frozenset({State.UPGRADING, State.ENDING, State.CLOSED}),
    State.UPGRADING: frozenset({State.POLLING, State.WEBSOCKET, State.ENDING, State.CLOSED}),
    State.WEBSOCKET: frozenset({State.ENDING, State.CLOSED}),
    State.ENDING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
"""The states that may follow each state."""
