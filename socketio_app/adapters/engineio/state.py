"""The states of a client's session, and the transitions between them."""

from collections.abc import Mapping
from enum import Enum, StrEnum, auto
from typing import Final, TypeVar


class State(StrEnum):
    """State of a session. Hashing a string takes a tenth of hashing another enum's member."""

    OPENING = auto()
    """The handshake is not answered yet."""
    POLLING = auto()
    """The client uses polling."""
    UPGRADING = auto()
    """The client is upgrading from polling to a WebSocket, and has stopped polling."""
    WEBSOCKET = auto()
    """The client uses a WebSocket."""
    CLOSING = auto()
    """The session closes in the next turn of the event loop, and ignores received messages."""
    CLOSED = auto()
    """The session is closed."""


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.OPENING: frozenset({State.POLLING, State.WEBSOCKET, State.CLOSING, State.CLOSED}),
    State.POLLING: frozenset({State.UPGRADING, State.CLOSING, State.CLOSED}),
    State.UPGRADING: frozenset({State.POLLING, State.WEBSOCKET, State.CLOSING, State.CLOSED}),
    State.WEBSOCKET: frozenset({State.CLOSING, State.CLOSED}),
    State.CLOSING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
"""The states that may follow each state."""

AnyState = TypeVar("AnyState", bound=Enum)


def following(
    transitions: Mapping[AnyState, frozenset[AnyState]], current: AnyState, state: AnyState
) -> AnyState:
    """Return `state`, which follows the current one.

    Raises:
        RuntimeError: it may not follow.
    """
    if state not in transitions[current]:
        raise RuntimeError(f"a session cannot go from {current.name} to {state.name}")
    return state
