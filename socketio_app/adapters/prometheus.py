"""The chat's measures as Prometheus reads them.

They are put into its terms when it asks, in a registry of their own.
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
"""By its name, what a number means, and where it is read."""


def metrics_route(metrics: Metrics, gauges: Readings, counters: Readings) -> Route:
    """Serve what is measured, as `GET /metrics`.

    Args:
        metrics: most of what is served.
        gauges: numbers besides, which go up and down.
        counters: numbers besides, which only go up.
    """
    registry = CollectorRegistry()
    registry.register(ChatCollector(metrics, gauges, counters))
    ProcessCollector(registry=registry)

    async def answer(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return Route("/metrics", answer)


class ChatCollector(Collector):
    """Reads the measures."""

    def __init__(self, metrics: Metrics, gauges: Readings, counters: Readings) -> None:
        self._metrics = metrics
        self._gauges = gauges
        self._counters = counters

    def collect(self) -> Iterable[Metric]:
        """All of them, as they are now."""
        for name, (meaning, read) in self._gauges.items():
            yield GaugeMetricFamily(name, meaning, value=read())
        for name, (meaning, read) in self._counters.items():
            yield CounterMetricFamily(name, meaning, value=read())
        yield from self._connections()
        yield from self._commands()
        metrics = self._metrics
        yield CounterMetricFamily(
            "chat_deliveries", "Events handed to connections.", value=metrics.deliveries
        )
        for name, meaning, histogram in (
            (
                "chat_delivery_seconds",
                "From a message's acceptance until its last recipient's connection has it.",
                metrics.delivery_seconds,
            ),
            ("chat_commit_writes", "Writes in one transaction.", metrics.commit_sizes),
            ("chat_commit_seconds", "How long transactions last.", metrics.commit_seconds),
        ):
            family = HistogramMetricFamily(name, meaning)
            _add(family, [], histogram)
            yield family

    def _connections(self) -> Iterable[Metric]:
        metrics = self._metrics
        yield CounterMetricFamily(
            "chat_connections_opened", "Connections let in.", value=metrics.opened
        )
        yield _counter("chat_connections_closed", "Connections ended.", "reason", metrics.closed)
        yield _counter(
            "chat_connections_refused", "Connections not let in.", "code", metrics.refused
        )

    def _commands(self) -> Iterable[Metric]:
        commands = CounterMetricFamily(
            "chat_commands", "Commands, by what became of them.", labels=["command", "outcome"]
        )
        seconds = HistogramMetricFamily(
            "chat_command_seconds", "From a command to its acknowledgement.", labels=["command"]
        )
        for name, metric in self._metrics.commands.items():
            for outcome, count in metric.outcomes.items():
                commands.add_metric([name, outcome], count)
            _add(seconds, [name], metric.seconds)
        yield commands
        yield seconds


def _counter(name: str, meaning: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    """Add a histogram; Prometheus has each bucket hold those below it too."""
    names = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    buckets = list(zip(names, accumulate(histogram.counts), strict=True))
    family.add_metric(labels, buckets, histogram.total)
