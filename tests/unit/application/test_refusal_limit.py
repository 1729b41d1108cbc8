"""Limits on rejections."""

from datetime import timedelta

from socketio_app.application.commands import Actor
from socketio_app.application.refusal_limit import BYTES_PER_REFUSAL, RefusalLimit
from socketio_app.domain.errors import InvalidPayload, RateLimited, Unavailable
from socketio_app.domain.identifiers import ConnectionId
from socketio_app.domain.rates import Rate
from tests.builders import ADA, BOB
from tests.clocks import ManualClock

LAPTOP, PHONE = Actor(ADA, ConnectionId("laptop")), Actor(ADA, ConnectionId("phone"))
TOO_FAST = RateLimited("too fast", retry_after_ms=1)
TWO_A_SECOND = Rate(per_second=2, burst=3)


def test_limit_is_exceeded_after_burst_of_rejections() -> None:
    refusal_limit = RefusalLimit(ManualClock(), TWO_A_SECOND)

    rejected = [refusal_limit.exceeded(LAPTOP, TOO_FAST) for _ in range(4)]

    assert rejected == [False, False, False, True]


def test_every_kind_of_rejection_counts() -> None:
    refusal_limit = RefusalLimit(ManualClock(), TWO_A_SECOND)
    for _ in range(3):
        refusal_limit.exceeded(LAPTOP, InvalidPayload("nonsense"))

    assert refusal_limit.exceeded(LAPTOP, TOO_FAST)


def test_unavailable_does_not_count() -> None:
    refusal_limit = RefusalLimit(ManualClock(), TWO_A_SECOND)

    assert not any(refusal_limit.exceeded(LAPTOP, Unavailable("no store")) for _ in range(100))
    assert not refusal_limit.exceeded(LAPTOP, TOO_FAST)


def test_ignored_packets_count() -> None:
    refusal_limit = RefusalLimit(ManualClock(), TWO_A_SECOND)

    exceeded_each = [refusal_limit.exceeded_by_ignored(LAPTOP) for _ in range(4)]

    assert exceeded_each == [False, False, False, True]


def test_ignored_packets_that_arrive_together_count_one_by_one() -> None:
    refusal_limit = RefusalLimit(ManualClock(), TWO_A_SECOND)

    assert not refusal_limit.exceeded_by_ignored(LAPTOP, 3)
    assert refusal_limit.exceeded_by_ignored(PHONE, 4)


def test_large_packet_counts_as_several() -> None:
    refusal_limit = RefusalLimit(ManualClock(), TWO_A_SECOND)

    exceeded_each = [refusal_limit.exceeded(LAPTOP, TOO_FAST, BYTES_PER_REFUSAL) for _ in range(3)]

    assert exceeded_each == [False, False, True]


def test_connections_are_limited_separately() -> None:
    refusal_limit = RefusalLimit(ManualClock(), TWO_A_SECOND)
    for _ in range(4):
        refusal_limit.exceeded(LAPTOP, TOO_FAST)

    assert not refusal_limit.exceeded(PHONE, TOO_FAST)


def test_rejections_within_rate_are_tolerated() -> None:
    clock = ManualClock()
    refusal_limit = RefusalLimit(clock, TWO_A_SECOND)

    for _ in range(100):
        assert not refusal_limit.exceeded(LAPTOP, TOO_FAST)
        clock.advance(timedelta(milliseconds=500))


def test_without_limit_nothing_is_exceeded() -> None:
    refusal_limit = RefusalLimit(ManualClock(), None)

    assert not any(refusal_limit.exceeded(LAPTOP, TOO_FAST) for _ in range(10_000))


def test_connections_of_user_share_user_limit() -> None:
    refusal_limit = RefusalLimit(ManualClock(), None, TWO_A_SECOND)

    exceeded_each = [refusal_limit.exceeded(device, TOO_FAST) for device in (LAPTOP, PHONE) * 2]

    assert exceeded_each == [False, False, False, True]
    assert not refusal_limit.exceeded(Actor(BOB, ConnectionId("other")), TOO_FAST)
