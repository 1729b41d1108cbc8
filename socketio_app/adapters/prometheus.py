"""The chat's metrics in Prometheus format.

They have a registry of their own, and are converted on each scrape.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

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

from socketio_app.application.metrics import Histogram, Metrics

Readings = Mapping[str, tuple[str, Callable[[], float]]]
"""The description of each metric, and a function that reads it, by name."""


def metrics_route(metrics: Metrics, gauges: Readings, counters: Readings) -> Route:
    """Return the route `GET /metrics`.

    Args:
        metrics: The chat's own metrics.
        gauges: Additional gauges.
        counters: Additional counters.
    """
    registry = CollectorRegistry()
    registry.register(ChatCollector(metrics, gauges, counters))
    ProcessCollector(registry=registry)

    async def answer(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return Route("/metrics", answer)


class ChatCollector(Collector):
    """Converts the metrics on each scrape."""

    def __init__(self, metrics: Metrics, gauges: Readings, counters: Readings) -> None:
        self._metrics = metrics
        self._gauges = gauges
        self._counters = counters

    def collect(self) -> Iterable[Metric]:
        """Yield the current value of every metric."""
        for name, (description, read) in self._gauges.items():
            yield GaugeMetricFamily(name, description, value=read())
        for name, (description, read) in self._counters.items():
            yield CounterMetricFamily(name, description, value=read())
        yield from self._connections()
        yield from self._commands()
        metrics = self._metrics
        yield CounterMetricFamily(
            "chat_deliveries", "Events delivered to connections.", value=metrics.deliveries
        )
        for name, description, histogram in (
            (
                "chat_delivery_seconds",
                "From accepting a message to its delivery to the last recipient's connection.",
                metrics.delivery_seconds,
            ),
            ("chat_commit_writes", "Writes per transaction.", metrics.commit_sizes),
            ("chat_commit_seconds", "Duration of each transaction.", metrics.commit_seconds),
        ):
            family = HistogramMetricFamily(name, description)
            _add(family, [], histogram)
            yield family

    def _connections(self) -> Iterable[Metric]:
        metrics = self._metrics
        yield CounterMetricFamily(
            "chat_connections_opened", "Connections accepted.", value=metrics.opened
        )
        yield _counter(
            "chat_connections_closed", "Connections closed, by reason.", "reason", metrics.closed
        )
        yield _counter(
            "chat_connections_refused",
            "Connections refused, by error code.",
            "code",
            metrics.refused,
        )

    def _commands(self) -> Iterable[Metric]:
        commands = CounterMetricFamily(
            "chat_commands", "Commands, by outcome.", labels=["command", "outcome"]
        )
        seconds = HistogramMetricFamily(
            "chat_command_seconds",
            "From receiving a command to acknowledging it.",
            labels=["command"],
        )
        for name, metric in self._metrics.commands.items():
            for outcome, count in metric.outcomes.items():
                commands.add_metric([name, outcome], count)
            _add(seconds, [name], metric.seconds)
        yield commands
        yield seconds


def _counter(name: str, description: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, description, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    """Add a histogram, whose buckets are cumulative in Prometheus."""
    names = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    buckets = list(zip(names, accumulate(histogram.counts), strict=True))
    family.add_metric(labels, buckets, histogram.total)
