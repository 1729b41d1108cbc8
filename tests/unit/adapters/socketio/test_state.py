"""The states of a Socket.IO session."""

import pytest

from socketio_app.adapters.socketio.state import TRANSITIONS, State


def test_every_state_has_its_transitions() -> None:
    assert {*TRANSITIONS} == {*State}


def test_every_state_is_reached() -> None:
    reached, waiting = {State.NEW}, [State.NEW]
    while waiting:
        new = TRANSITIONS[waiting.pop()] - reached
        reached |= new
        waiting += new

    assert reached == {*State}


@pytest.mark.parametrize("state", [State.NEW, State.REJECTED])
def test_session_is_not_connected_without_connect(state: State) -> None:
    assert State.CONNECTED not in TRANSITIONS[state]


@pytest.mark.parametrize("state", [each for each in State if each is not State.CLOSED])
def test_session_can_end_in_every_state(state: State) -> None:
    assert State.CLOSED in TRANSITIONS[state]


def test_ended_session_stays_ended() -> None:
    assert not TRANSITIONS[State.CLOSED]
