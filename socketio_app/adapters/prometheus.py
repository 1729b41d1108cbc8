"""The chat's metrics in Prometheus format.

They have a registry of their own, and are converted on each scrape.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from socketio_app.application.metric_fields import (
    Histogram,
    MetricDefinition,
    definitions,
    samples,
)
from socketio_app.application.metrics import Metrics


def metrics_route(metrics: Metrics) -> Route:
    """Return the route `GET /metrics`."""
    registry = CollectorRegistry()
    registry.register(ChatCollector(metrics))
    ProcessCollector(registry=registry)

    async def answer(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return Route("/metrics", answer)


class ChatCollector(Collector):
    """Converts the metrics on each scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Yield the current value of every metric that has one."""
        for field, definition in definitions(Metrics).items():
            value = getattr(self._metrics, field)
            if value is not None:
                yield _family(definition, samples(value))


def exported_name(definition: MetricDefinition) -> str:
    """Return a metric's name in Prometheus, where names of counters end in `_total`."""
    suffix = "_total" if definition.kind == "counter" else ""
    return f"chat_{definition.name}{suffix}"


def _family(definition: MetricDefinition, values: Iterable[tuple[Sequence[str], Any]]) -> Metric:
    described = exported_name(definition), definition.meaning
    if definition.kind == "histogram":
        histograms = HistogramMetricFamily(*described, labels=definition.labels)
        for labels, value in values:
            histograms.add_metric(labels, _buckets(value), value.total)
        return histograms
    family = CounterMetricFamily if definition.kind == "counter" else GaugeMetricFamily
    numbers = family(*described, labels=definition.labels)
    for labels, value in values:
        numbers.add_metric(labels, value)
    return numbers


def _buckets(histogram: Histogram) -> list[tuple[str, int]]:
    """Return a histogram's buckets, which are cumulative in Prometheus."""
    names = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    return list(zip(names, accumulate(histogram.counts), strict=True))
