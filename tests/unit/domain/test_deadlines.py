"""Deadlines by key."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from socketio_app.domain.deadlines import Deadlines

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_next_returns_earliest_deadline() -> None:
    deadlines: Deadlines[str] = Deadlines()
    assert deadlines.next() is None

    deadlines.set("late", at(2))
    deadlines.set("early", at(1))

    assert deadlines.next() == at(1)


def test_cancelled_deadline_is_never_due() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("ada", at(1))
    deadlines.cancel("ada")
    deadlines.cancel("nobody")

    assert deadlines.next() is None
    assert deadlines.pop_due(at(5)) == []


def test_due_key_is_taken_once() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("ada", at(1))

    assert deadlines.pop_due(at(1)) == ["ada"]
    assert deadlines.pop_due(at(2)) == []


keys = st.sampled_from("abcd")
steps = st.lists(
    st.tuples(st.just("set"), keys, st.integers(0, 20))
    | st.tuples(st.just("cancel"), keys, st.none())
    | st.tuples(st.just("take"), st.none(), st.integers(0, 20))
)


@given(steps)
def test_matches_dictionary_model(
    operations: list[tuple[str, str, int]],
) -> None:
    deadlines: Deadlines[str] = Deadlines()
    model: dict[str, int] = {}
    for operation, key, seconds in operations:
        match operation:
            case "set":
                deadlines.set(key, at(seconds))
                model[key] = seconds
            case "cancel":
                deadlines.cancel(key)
                model.pop(key, None)
            case _:
                due = {each: when for each, when in model.items() if when <= seconds}
                taken = deadlines.pop_due(at(seconds))
                assert sorted(taken) == sorted(due)
                assert [due[each] for each in taken] == sorted(due.values())
                model = {each: when for each, when in model.items() if each not in due}
        assert deadlines.next() == (at(min(model.values())) if model else None)


def test_cancelled_deadlines_are_removed_from_heap() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for number in range(10_000):
        deadlines.set(f"{number}", at(3600))
        deadlines.cancel(f"{number}")

    assert len(deadlines._heap) < 100
