"""Rate limiting."""

import pytest

from socketio_app.domain.rates import Rate, RateLimiter, Rates, UserRateLimiter

# Halves and quarters, which floats represent exactly.
TWO_A_SECOND = Rate(per_second=2, burst=3)


@pytest.fixture
def limiter() -> RateLimiter:
    return RateLimiter(TWO_A_SECOND)


def test_burst_is_admitted_after_idle_period(limiter: RateLimiter) -> None:
    waits = [limiter.admit("ada", 100.0) for _ in range(4)]

    assert waits == [0, 0, 0, 0.5]


def test_event_is_admitted_after_returned_wait(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.admit("ada", 100.0)
    wait = limiter.admit("ada", 100.0)

    assert limiter.admit("ada", 100.0 + wait - 0.25) == 0.25
    assert limiter.admit("ada", 100.0 + wait) == 0


def test_rejected_event_is_not_counted(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.admit("ada", 100.0)

    assert [limiter.admit("ada", 100.0) for _ in range(10)] == [0.5] * 10


def test_sustained_rate_is_enforced(limiter: RateLimiter) -> None:
    quarters = [100 + number / 4 for number in range(4 * 60)]

    admitted = sum(limiter.admit("ada", now) == 0 for now in quarters)

    # Two events per second for a minute, plus the burst.
    assert admitted == 2 * 60 + 2


def test_idle_time_does_not_exceed_burst(limiter: RateLimiter) -> None:
    limiter.admit("ada", 100.0)

    waits = [limiter.admit("ada", 1_000_000.0) for _ in range(4)]

    assert waits == [0, 0, 0, 0.5]


def test_count_takes_several_events_at_once(limiter: RateLimiter) -> None:
    assert limiter.admit("ada", 100.0, 5) == 0

    assert limiter.admit("ada", 100.0) == 1.5
    assert limiter.admit("ada", 101.5) == 0


def test_keys_are_limited_separately(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.admit("ada", 100.0)

    assert limiter.admit("bob", 100.0) == 0
    assert limiter.admit("ada", 100.0) == 0.5


def test_idle_keys_are_removed(limiter: RateLimiter) -> None:
    for second in range(10_000):
        limiter.admit(f"user {second}", float(second))

    assert len(limiter._arrival) <= 1024


def test_active_keys_are_not_removed(limiter: RateLimiter) -> None:
    users = [f"user {number}" for number in range(10_000)]
    for user in users:
        for _ in range(3):
            limiter.admit(user, 100.0)

    assert {limiter.admit(user, 100.0) for user in users} == {0.5}


def test_wait_counts_nothing(limiter: RateLimiter) -> None:
    assert limiter.wait("nobody yet", 100.0) == 0

    for _ in range(2):
        limiter.admit("ada", 100.0)
    assert [limiter.wait("ada", 100.0) for _ in range(3)] == [0, 0, 0]
    limiter.admit("ada", 100.0)
    assert [limiter.wait("ada", 100.0) for _ in range(3)] == [0.5, 0.5, 0.5]


def test_give_back_allows_another_event(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.admit("ada", 100.0)

    limiter.undo("ada")

    assert [limiter.admit("ada", 100.0) for _ in range(2)] == [0, 0.5]


class TestTwoRates:
    FAST, SLOW = Rate(per_second=4, burst=6), Rate(per_second=2, burst=3)

    def test_event_must_be_within_both_rates(self) -> None:
        limiter = UserRateLimiter(Rates(per_user=self.FAST, per_connection=self.SLOW))

        laptop = [limiter.admit("ada", "laptop", 100.0) for _ in range(4)]
        phone = [limiter.admit("ada", "phone", 100.0) for _ in range(4)]

        assert laptop == [0, 0, 0, 0.5]
        assert phone == [0, 0, 0, 0.5]
        assert limiter.admit("ada", "tablet", 100.0) == 0.25

    def test_event_rejected_by_one_rate_counts_for_neither(self) -> None:
        limiter = UserRateLimiter(Rates(per_user=self.SLOW, per_connection=self.SLOW))
        for _ in range(3):
            limiter.admit("ada", "laptop", 100.0)
        for _ in range(10):
            limiter.admit("ada", "phone", 100.0)

        # The phone still has its whole burst once the user's rate allows it.
        assert [limiter.admit("ada", "phone", 102.0) for _ in range(4)] == [0, 0, 0, 0.5]

    def test_longer_wait_is_returned(self) -> None:
        limiter = UserRateLimiter(Rates(per_user=self.SLOW, per_connection=self.FAST))
        for number in range(3):
            limiter.admit("ada", f"connection {number}", 100.0)

        assert limiter.admit("ada", "another", 100.0) == 0.5

    def test_event_is_admitted_after_returned_wait(self) -> None:
        limiter = UserRateLimiter(Rates(per_user=Rate(1, 3), per_connection=Rate(2, 3)))
        for _ in range(3):
            limiter.admit("ada", "laptop", 100.0)

        wait = limiter.admit("ada", "laptop", 100.0)

        assert wait == 1
        assert limiter.admit("ada", "laptop", 100.0 + wait) == 0

    @pytest.mark.parametrize("rates", [Rates(SLOW, None), Rates(None, SLOW)])
    def test_either_rate_can_be_unlimited(self, rates: Rates) -> None:
        limiter = UserRateLimiter(rates)

        assert [limiter.admit("ada", "laptop", 100.0) for _ in range(4)] == [0, 0, 0, 0.5]

    def test_without_rates_nothing_is_limited(self) -> None:
        limiter = UserRateLimiter(Rates(None, None))

        assert {limiter.admit("ada", "laptop", 100.0) for _ in range(1000)} == {0}


@pytest.mark.parametrize("per_second", [3, 5, 7, 10, 100])
@pytest.mark.parametrize("now", [0.1, 100.3, 1_764_000_000.123])
def test_burst_has_configured_size(per_second: int, now: float) -> None:
    limiter = RateLimiter(Rate(per_second, burst=10 * per_second))

    admitted = sum(limiter.admit("ada", now) == 0 for _ in range(20 * per_second))

    assert admitted == 10 * per_second
