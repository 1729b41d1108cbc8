"""Medians and ratios that are robust against noise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import median, percentile, ratio

VALUES = st.lists(st.floats(0, 1000), min_size=1)
SHARES = st.floats(0.001, 1)


def test_median_is_middle_round() -> None:
    rounds = [{"cpu_us": 3.0}, {"cpu_us": 100.0}, {"cpu_us": 2.0}]

    assert median(rounds, "cpu_us") == 3.0


def test_ratio_compares_figures_of_same_round() -> None:
    ours = [{"cpu_us": 1.0}, {"cpu_us": 10.0}, {"cpu_us": 2.0}]
    node = [{"cpu_us": 2.0}, {"cpu_us": 20.0}, {"cpu_us": 4.0}]

    assert ratio(ours, node, "cpu_us") == 0.5


def test_one_bad_round_does_not_bend_a_ratio() -> None:
    ours = [{"cpu_us": 1.0}, {"cpu_us": 90.0}, {"cpu_us": 1.0}]
    node = [{"cpu_us": 2.0}, {"cpu_us": 2.0}, {"cpu_us": 2.0}]

    assert ratio(ours, node, "cpu_us") == 0.5


def test_there_is_no_ratio_of_unequal_rounds() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([{"cpu_us": 1.0}], [], "cpu_us")


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (0.991, 100), (1, 100)])
def test_percentile_is_value_at_rank(share: float, value: float) -> None:
    assert percentile([float(each) for each in range(100, 0, -1)], share) == value


@given(VALUES, SHARES)
def test_share_of_values_does_not_exceed_percentile(values: list[float], share: float) -> None:
    found = percentile(values, share)

    assert found in values
    assert sum(each <= found for each in values) >= share * len(values)


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0), ([1.0], 1.1)])
def test_there_is_no_percentile_of_nothing_or_beyond_all(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, share)


def test_there_is_an_infinite_ratio_to_nothing() -> None:
    assert ratio([{"cpu_us": 1.0}], [{"cpu_us": 0.0}], "cpu_us") == math.inf
