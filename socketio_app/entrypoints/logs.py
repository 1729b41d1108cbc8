"""How a server that runs by itself logs: a line for each event, to stderr.

The modules use the standard library's logging, with fields as `extra`. What is rendered is a list
of known fields; of an exception its type and where it was, and not its text, in which there may be
what somebody has written.
"""

import sqlite3
import traceback
from collections.abc import Sequence
from typing import Any, Literal

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from socketio_app.adapters.socketio import ENGINE_LOGGERS

Format = Literal["json", "console"]

FIELDS = (
    "address",
    "code",
    "command",
    "connection",
    "connections",
    "duration",
    "error_id",
    "reason",
    "store",
    "user",
    "version",
)
"""What a line may have beside its event. `duration` is in seconds."""

TELLING = (OSError, sqlite3.OperationalError)
"""Exceptions whose text is the system's own."""

MAX_CAUSES = 10
"""How many exceptions that led to one another are told of."""


def log_config(level: str, form: Format) -> dict[str, Any]:
    """What to configure the standard library's logging with.

    uvicorn's lines are never those of debugging, in which it writes every frame's contents, nor
    those of its start and end, which are told by the chat's own.
    """
    level = level.upper()
    others = level if level in {"ERROR", "CRITICAL"} else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "chat": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    structlog.stdlib.ExtraAdder(allow=FIELDS),
                ],
                "processors": _processors(form),
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chat"}},
        "root": {"handlers": ["stderr"], "level": others},
        "loggers": {
            "socketio_app": {"level": level},
            "uvicorn": {"level": others},
            # They name sessions, which are as good as tokens while they last.
            **{name: {"level": "CRITICAL"} for name in ENGINE_LOGGERS},
        },
    }


def bare_traceback(error: BaseException) -> str:
    """The types of an exception and of those that led to it, and where they were raised."""
    told: list[str] = []
    current: BaseException | None = error
    while current is not None and len(told) < MAX_CAUSES:
        text = f": {current}" if isinstance(current, TELLING) else ""
        where = "".join(traceback.format_tb(current.__traceback__))
        name = f"{type(current).__module__}.{type(current).__qualname__}"
        told.append(f"Traceback (most recent call last):\n{where}{name}{text}")
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return "\n\nafter\n\n".join(told)


def _processors(form: Format) -> Sequence[Processor]:
    shared: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        _add_traceback,
    ]
    if form == "json":
        return [*shared, structlog.processors.JSONRenderer()]
    plain = structlog.dev.plain_traceback  # others make 25.x warn of the text that is there already
    return [*shared, structlog.dev.ConsoleRenderer(exception_formatter=plain)]


def _add_traceback(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = bare_traceback(error)
    return event
