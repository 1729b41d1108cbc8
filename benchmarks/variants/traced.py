"""The chat with tracing: a span for each command, exported in batches to nowhere.

The chat traces commands if the process has a tracer provider, which only code can set.
"""

import sys
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import set_tracer_provider

from socketio_app.entrypoints.cli import main


class Nowhere(SpanExporter):
    """Discards spans, so that no collector is measured."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Report success."""
        return SpanExportResult.SUCCESS


def set_provider() -> None:
    """Set the tracer provider of this process."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    set_tracer_provider(provider)


if __name__ == "__main__":
    set_provider()
    sys.exit(main(["serve"]))
