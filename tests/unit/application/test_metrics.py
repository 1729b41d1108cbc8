"""What is counted, and how."""

from bisect import bisect_left
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.application.events import MessageSent, UserJoined
from socketio_app.application.metrics import OTHER, SECONDS, Histogram, Measures
from socketio_app.domain.identifiers import RoomId, UserId
from tests.builders import NOON, draft
from tests.clocks import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def measures(clock: ManualClock) -> Measures:
    return Measures(["send", "join"], lambda: clock.now().timestamp())


@given(values=st.lists(st.floats(0, 20)))
def test_a_histogram_has_each_value_in_the_first_bucket_that_holds_it(values: list[float]) -> None:
    histogram = Histogram(SECONDS)

    for value in values:
        histogram.observe(value)

    for number, bound in enumerate(SECONDS):
        assert sum(histogram.counts[: number + 1]) == sum(value <= bound for value in values)
    assert sum(histogram.counts) == len(values)
    assert histogram.total == pytest.approx(sum(values))


def test_commands_are_counted_by_name_and_outcome(measures: Measures) -> None:
    measures.command("send", "ok", 0.002)
    measures.command("send", "ok", 0.002)
    measures.command("send", "not_a_member", 0.1)

    assert measures.commands["send"].outcomes == {"ok": 2, "not_a_member": 1}
    assert measures.commands["send"].seconds.counts[bisect_left(SECONDS, 0.002)] == 2
    assert measures.commands["join"].outcomes == {}


def test_names_that_clients_make_up_are_counted_together(measures: Measures) -> None:
    for number in range(10):
        measures.command(f"made up {number}", "unknown_command", 0.001)

    assert set(measures.commands) == {"send", "join", OTHER}
    assert measures.commands[OTHER].outcomes == {"unknown_command": 10}


def test_a_messages_delivery_lasts_from_its_acceptance(
    measures: Measures, clock: ManualClock
) -> None:
    clock.advance(timedelta(milliseconds=20))

    measures.told(MessageSent(draft().at(1)), connections=3)

    assert measures.deliveries == 3
    assert measures.delivery_seconds.total == pytest.approx(0.02)
    assert sum(measures.delivery_seconds.counts) == 1


def test_a_clock_that_was_set_back_makes_no_delivery_shorter_than_nothing() -> None:
    measures = Measures([], lambda: NOON.timestamp() - 60)

    measures.told(MessageSent(draft().at(1)), connections=1)

    assert measures.delivery_seconds.total == 0


def test_other_events_are_deliveries_whose_time_says_nothing(measures: Measures) -> None:
    measures.told(UserJoined(RoomId("lobby"), UserId("ada"), NOON, 2), connections=2)

    assert measures.deliveries == 2
    assert sum(measures.delivery_seconds.counts) == 0


def test_transactions_are_counted_by_their_size(measures: Measures) -> None:
    measures.committed(7, 0.004)

    assert measures.commit_sizes.total == 7
    assert measures.commit_seconds.total == pytest.approx(0.004)
