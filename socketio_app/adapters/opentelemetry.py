"""A span of OpenTelemetry's for each command, where the process has it set up.

Spans say which command it was, whose, and how it ended; never what was in it. What a command does
under way (a query of a database that is instrumented, say) is inside its span.
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
    """What makes spans; `None` where nobody has said where they should go."""
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
        told = Outcome()
        attributes = {
            "chat.command": name,
            "chat.connection": actor.connection_id or "",
            "user.id": actor.user_id,
        }
        with self._tracer.start_as_current_span(
            name,
            kind=SpanKind.SERVER,
            attributes=attributes,
            # An exception's text may hold what was said.
            record_exception=False,
        ) as span:
            yield told
            span.set_attribute("chat.outcome", told.code)
            if told.code == "internal":
                span.set_status(StatusCode.ERROR)
