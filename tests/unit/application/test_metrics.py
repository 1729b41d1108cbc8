"""Counters and histograms."""

from bisect import bisect_left
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.application.events import MessageSent, UserJoined
from socketio_app.application.metric_fields import Histogram, samples
from socketio_app.application.metrics import DURATION_BUCKETS, OTHER, Metrics
from socketio_app.domain.identifiers import RoomId, UserId
from tests.builders import NOON, draft
from tests.clocks import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics(clock: ManualClock) -> Metrics:
    return Metrics(["send", "join"], lambda: clock.now().timestamp())


@given(values=st.lists(st.floats(0, 20)))
def test_histogram_counts_value_in_first_matching_bucket(values: list[float]) -> None:
    histogram = Histogram(DURATION_BUCKETS)

    for value in values:
        histogram.observe(value)

    for number, bound in enumerate(DURATION_BUCKETS):
        assert sum(histogram.counts[: number + 1]) == sum(value <= bound for value in values)
    assert sum(histogram.counts) == len(values)
    assert histogram.total == pytest.approx(sum(values))


def test_commands_are_counted_by_name_and_outcome(metrics: Metrics) -> None:
    metrics.count_command("send", "ok", 0.002)
    metrics.count_command("send", "ok", 0.002)
    metrics.count_command("send", "not_a_member", 0.1)

    assert metrics.commands["send"] == {"ok": 2, "not_a_member": 1}
    assert metrics.command_seconds["send"].counts[bisect_left(DURATION_BUCKETS, 0.002)] == 2
    assert metrics.commands["join"] == {}


def test_unknown_command_names_are_counted_together(metrics: Metrics) -> None:
    for number in range(10):
        metrics.count_command(f"made up {number}", "unknown_command", 0.001)

    assert set(metrics.commands) == {"send", "join", OTHER}
    assert metrics.commands[OTHER] == {"unknown_command": 10}


def test_delivery_time_starts_when_message_is_accepted(
    metrics: Metrics, clock: ManualClock
) -> None:
    clock.advance(timedelta(milliseconds=20))

    metrics.count_broadcast(MessageSent(draft().at(1)), connections=3)

    assert metrics.deliveries == 3
    assert metrics.delivery_seconds.total == pytest.approx(0.02)
    assert sum(metrics.delivery_seconds.counts) == 1


def test_delivery_time_is_not_negative() -> None:
    metrics = Metrics([], lambda: NOON.timestamp() - 60)

    metrics.count_broadcast(MessageSent(draft().at(1)), connections=1)

    assert metrics.delivery_seconds.total == 0


def test_other_events_count_without_delivery_time(metrics: Metrics) -> None:
    metrics.count_broadcast(UserJoined(RoomId("lobby"), UserId("ada"), NOON, 2), connections=2)

    assert metrics.deliveries == 2
    assert sum(metrics.delivery_seconds.counts) == 0


def test_labelled_metric_has_a_value_for_each_combination_of_labels() -> None:
    outcomes = {"send": {"ok": 2, "not_a_member": 1}, "join": {"ok": 3}}

    assert list(samples(outcomes)) == [
        (("send", "ok"), 2),
        (("send", "not_a_member"), 1),
        (("join", "ok"), 3),
    ]


def test_value_of_metric_that_is_read_on_request() -> None:
    assert list(samples(lambda: 7)) == [((), 7)]


def test_transactions_are_counted_by_size(metrics: Metrics) -> None:
    metrics.count_commit(7, 0.004)

    assert metrics.commit_writes.total == 7
    assert metrics.commit_seconds.total == pytest.approx(0.004)
