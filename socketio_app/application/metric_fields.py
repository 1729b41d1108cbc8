"""Declaring a metric: its name, kind, description, labels and buckets in one place.

A class of metrics is an attrs class whose fields are made by `counter`, `histogram` or
`read_gauge`. A metric is named after its field. Adapters for metrics systems and the table in
docs/running.md are derived from the fields.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

_METRIC = "metric"


@attrs.define
class Histogram:
    """A histogram with fixed buckets."""

    bounds: Sequence[float]
    """Inclusive upper bounds of the buckets; one more bucket holds all greater values."""
    counts: list[int] = attrs.field(init=False)
    """Number of values in each bucket."""
    total: float = attrs.field(default=0.0, init=False)
    """Sum of all values."""

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


Read = Callable[[], float] | None
"""Reads the value of a metric that is counted elsewhere; `None` if there is nothing to read."""


@attrs.frozen
class MetricDefinition:
    """What a metric is."""

    name: str
    """Name without the prefix of the application."""
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: Sequence[str] = ()


def counter(meaning: str, *labels: str) -> Any:
    """Declare an `int` that only grows; with labels, one for each value in nested mappings."""
    return _field("counter", meaning, labels, int)


def histogram(meaning: str, bounds: Sequence[float], *labels: str) -> Any:
    """Declare a `Histogram`; with labels, one for each value in nested mappings."""
    return _field("histogram", meaning, labels, lambda: Histogram(bounds))


def read_gauge(meaning: str) -> Any:
    """Declare a gauge whose value is read on each scrape."""
    return _field("gauge", meaning, (), lambda: None)


def definitions(metrics: type[attrs.AttrsInstance]) -> Mapping[str, MetricDefinition]:
    """Return the definitions of a class of metrics, by field."""
    return {
        field.name: attrs.evolve(field.metadata[_METRIC], name=field.name)
        for field in attrs.fields(metrics)
        if _METRIC in field.metadata
    }


def samples(value: Any, labels: Sequence[str] = ()) -> Iterator[tuple[Sequence[str], Any]]:
    """Yield a metric's values, numbers or histograms, each with the values of its labels."""
    if isinstance(value, Mapping):
        for label, nested in value.items():
            yield from samples(nested, (*labels, label))
    else:
        yield labels, value() if callable(value) else value


def _field(
    kind: Literal["counter", "gauge", "histogram"],
    meaning: str,
    labels: Sequence[str],
    create: Callable[[], object],
) -> Any:
    return attrs.field(
        init=False,
        factory=lambda: _nested(len(labels), create),
        metadata={_METRIC: MetricDefinition("", kind, meaning, labels)},
    )


def _nested(depth: int, create: Callable[[], object]) -> object:
    return defaultdict(lambda: _nested(depth - 1, create)) if depth else create()
