"""How often something may happen."""

import pytest

from socketio_app.domain.rates import DoubleLimiter, Rate, RateLimiter, Rates

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


def test_several_taken_at_once_count_as_several(limiter: RateLimiter) -> None:
    assert limiter.admit("ada", 100.0, 5) == 0

    assert limiter.admit("ada", 100.0) == 1.5
    assert limiter.admit("ada", 101.5) == 0


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


def test_asking_how_long_to_wait_takes_nothing(limiter: RateLimiter) -> None:
    assert limiter.wait("nobody yet", 100.0) == 0

    for _ in range(2):
        limiter.admit("ada", 100.0)
    assert [limiter.wait("ada", 100.0) for _ in range(3)] == [0, 0, 0]
    limiter.admit("ada", 100.0)
    assert [limiter.wait("ada", 100.0) for _ in range(3)] == [0.5, 0.5, 0.5]


def test_what_is_given_back_can_be_taken_once_more(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.admit("ada", 100.0)

    limiter.give_back("ada")

    assert [limiter.admit("ada", 100.0) for _ in range(2)] == [0, 0.5]


class TestTwoRates:
    FAST, SLOW = Rate(per_second=4, burst=6), Rate(per_second=2, burst=3)

    def test_each_of_the_two_has_to_allow_it(self) -> None:
        limiter = DoubleLimiter(Rates(per_user=self.FAST, per_connection=self.SLOW))

        laptop = [limiter.admit("ada", "laptop", 100.0) for _ in range(4)]
        phone = [limiter.admit("ada", "phone", 100.0) for _ in range(4)]

        assert laptop == [0, 0, 0, 0.5]
        assert phone == [0, 0, 0, 0.5]
        assert limiter.admit("ada", "tablet", 100.0) == 0.25

    def test_what_one_of_the_two_refuses_is_taken_from_neither(self) -> None:
        limiter = DoubleLimiter(Rates(per_user=self.SLOW, per_connection=self.SLOW))
        for _ in range(3):
            limiter.admit("ada", "laptop", 100.0)
        for _ in range(10):
            limiter.admit("ada", "phone", 100.0)

        # The phone has its whole burst still, as soon as the user has.
        assert [limiter.admit("ada", "phone", 102.0) for _ in range(4)] == [0, 0, 0, 0.5]

    def test_the_longer_wait_of_the_two_is_told(self) -> None:
        limiter = DoubleLimiter(Rates(per_user=self.SLOW, per_connection=self.FAST))
        for number in range(3):
            limiter.admit("ada", f"connection {number}", 100.0)

        assert limiter.admit("ada", "another", 100.0) == 0.5

    def test_who_waits_as_long_as_told_is_admitted(self) -> None:
        limiter = DoubleLimiter(Rates(per_user=Rate(1, 3), per_connection=Rate(2, 3)))
        for _ in range(3):
            limiter.admit("ada", "laptop", 100.0)

        wait = limiter.admit("ada", "laptop", 100.0)

        assert wait == 1
        assert limiter.admit("ada", "laptop", 100.0 + wait) == 0

    @pytest.mark.parametrize("rates", [Rates(SLOW, None), Rates(None, SLOW)])
    def test_either_may_be_missing(self, rates: Rates) -> None:
        limiter = DoubleLimiter(rates)

        assert [limiter.admit("ada", "laptop", 100.0) for _ in range(4)] == [0, 0, 0, 0.5]

    def test_without_any_nothing_is_too_fast(self) -> None:
        limiter = DoubleLimiter(Rates(None, None))

        assert {limiter.admit("ada", "laptop", 100.0) for _ in range(1000)} == {0}


@pytest.mark.parametrize("per_second", [3, 5, 7, 10, 100])
@pytest.mark.parametrize("now", [0.1, 100.3, 1_764_000_000.123])
def test_a_burst_is_as_large_as_was_said(per_second: int, now: float) -> None:
    limiter = RateLimiter(Rate(per_second, burst=10 * per_second))

    admitted = sum(limiter.admit("ada", now) == 0 for _ in range(20 * per_second))

    assert admitted == 10 * per_second
