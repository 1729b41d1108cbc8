"""How often something may happen."""

import pytest

from socketio_app.domain.rates import Rate, RateLimiter

# Halves and quarters, which floats hold exactly.
TWO_A_SECOND = Rate(per_second=2, burst=3)


@pytest.fixture
def limiter() -> RateLimiter:
    return RateLimiter(TWO_A_SECOND)


def test_after_a_rest_a_whole_burst_is_admitted_and_no_more(limiter: RateLimiter) -> None:
    waits = [limiter.admit("ada", 100.0) for _ in range(4)]

    assert waits == [0, 0, 0, 0.5]


def test_who_waits_as_long_as_told_is_admitted(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.admit("ada", 100.0)
    wait = limiter.admit("ada", 100.0)

    assert limiter.admit("ada", 100.0 + wait - 0.25) == 0.25
    assert limiter.admit("ada", 100.0 + wait) == 0


def test_a_refusal_takes_nothing(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.admit("ada", 100.0)

    assert [limiter.admit("ada", 100.0) for _ in range(10)] == [0.5] * 10


def test_in_the_long_run_the_rate_is_kept(limiter: RateLimiter) -> None:
    quarters = [100 + number / 4 for number in range(4 * 60)]

    admitted = sum(limiter.admit("ada", now) == 0 for now in quarters)

    # What came in a minute: two for each second, and what the burst lets come before its time.
    assert admitted == 2 * 60 + 2


def test_rest_is_not_saved_up_beyond_the_burst(limiter: RateLimiter) -> None:
    limiter.admit("ada", 100.0)

    waits = [limiter.admit("ada", 1_000_000.0) for _ in range(4)]

    assert waits == [0, 0, 0, 0.5]


def test_each_key_is_limited_by_itself(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.admit("ada", 100.0)

    assert limiter.admit("bob", 100.0) == 0
    assert limiter.admit("ada", 100.0) == 0.5


def test_rested_keys_are_forgotten(limiter: RateLimiter) -> None:
    for second in range(10_000):
        limiter.admit(f"user {second}", float(second))

    assert len(limiter._arrival) <= 1024


def test_busy_keys_are_not_forgotten(limiter: RateLimiter) -> None:
    users = [f"user {number}" for number in range(10_000)]
    for user in users:
        for _ in range(3):
            limiter.admit(user, 100.0)

    assert {limiter.admit(user, 100.0) for user in users} == {0.5}
