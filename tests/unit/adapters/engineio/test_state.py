"""The states of an Engine.IO session."""

import pytest

from socketio_app.adapters.engineio.state import TRANSITIONS, State, following


def test_every_state_has_its_transitions() -> None:
    assert {*TRANSITIONS} == {*State}


def test_every_state_is_reached() -> None:
    reached, waiting = {State.OPENING}, [State.OPENING]
    while waiting:
        new = TRANSITIONS[waiting.pop()] - reached
        reached |= new
        waiting += new

    assert reached == {*State}


@pytest.mark.parametrize("state", [each for each in State if each is not State.CLOSED])
def test_session_can_end_in_every_state(state: State) -> None:
    assert State.CLOSED in TRANSITIONS[state]


def test_ended_session_stays_ended() -> None:
    assert not TRANSITIONS[State.CLOSED]


def test_upgraded_session_never_polls_again() -> None:
    assert TRANSITIONS[State.WEBSOCKET].isdisjoint({State.POLLING, State.UPGRADING})


def test_other_transitions_raise() -> None:
    assert following(TRANSITIONS, State.POLLING, State.UPGRADING) is State.UPGRADING
    with pytest.raises(RuntimeError, match="from CLOSED to POLLING"):
        following(TRANSITIONS, State.CLOSED, State.POLLING)
