"""An OpenTelemetry span for each command, if the process has a tracer provider.

A span has the command's name, user, connection and outcome, never its content. Instrumented calls
that the command makes, such as database queries, are child spans.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import (
    ProxyTracerProvider,
    SpanKind,
    StatusCode,
    Tracer,
    get_tracer_provider,
)

from socketio_app.application.commands import Actor
from socketio_app.application.tracing import Outcome, Tracing


def tracing() -> Tracing | None:
    """Return the tracing adapter; `None` if no tracer provider is set."""
    provider = get_tracer_provider()
    if isinstance(provider, ProxyTracerProvider):
        return None
    return OpenTelemetryTracing(provider.get_tracer("socketio_app"))


class OpenTelemetryTracing:
    """Implements the `Tracing` port."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def command(self, name: str, actor: Actor) -> Iterator[Outcome]:
        """See `Tracing.command`."""
        outcome = Outcome()
        attributes = {
            "chat.command": name,
            "chat.connection": actor.connection_id or "",
            "user.id": actor.user_id,
        }
        with self._tracer.start_as_current_span(
            name,
            kind=SpanKind.SERVER,
            attributes=attributes,
            # The text of an exception may hold message content.
            record_exception=False,
        ) as span:
            yield outcome
            span.set_attribute("chat.outcome", outcome.code)
            if outcome.code == "internal":
                span.set_status(StatusCode.ERROR)
