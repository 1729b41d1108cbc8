"""Medians and ratios of the figures of several rounds, robust against a drift of the machine."""

import math
import statistics
from collections.abc import Mapping, Sequence

Figures = Mapping[str, float]
"""The figures of one round; each name ends with the unit."""


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed.

    Raises:
        ValueError: there are no values, or `share` is not over 0 and at most 1.
    """
    if not values or not 0 < share <= 1:
        raise ValueError(f"no percentile {share} of {len(values)} values")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def median(rounds: Sequence[Figures], name: str) -> float:
    """Return the median of the rounds."""
    return statistics.median(figures[name] for figures in rounds)


def ratio(rounds: Sequence[Figures], against: Sequence[Figures], name: str) -> float:
    """How many times the other's a figure is: round by round, and of those the median.

    A round's figures are taken right after one another, so what slows the machine down for a
    while slows both, and their ratio stays.

    Of what came to nothing there is no ratio, but an infinite one.

    Raises:
        ValueError: there are not as many rounds of one as of the other.
    """
    return statistics.median(
        one[name] / other[name] if other[name] else math.inf
        for one, other in zip(rounds, against, strict=True)
    )
