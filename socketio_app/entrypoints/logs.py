"""Logging of the standalone server: one line per event, to stderr.

Modules use the standard library's logging, with fields as `extra`. Only known fields are rendered.
An exception is rendered as its type and traceback without its text, which could contain user data.
"""

import json
import logging
import sqlite3
import traceback
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from structlog.types import EventDict, WrappedLogger

from socketio_app.adapters.log_event import event_of
from socketio_app.adapters.socketio import ENGINE_LOGGERS

Format = Literal["json", "console"]

FIELDS = (
    "address",
    "calls",
    "code",
    "command",
    "connection",
    "connections",
    "duration",
    "error_id",
    "hook",
    "reason",
    "store",
    "user",
    "version",
)
"""Fields that a line can have besides its event. `duration` is in seconds."""

SYSTEM_ERRORS = (OSError, sqlite3.OperationalError)
"""Exceptions whose text is logged, as it comes from the system."""

MAX_CAUSES = 10
"""Maximum number of chained exceptions that are logged."""


def log_config(level: str, form: Format) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`.

    uvicorn logs at WARNING or above: its debug lines contain every frame, and the chat logs start
    and shutdown itself.
    """
    level = level.upper()
    others = level if level in {"ERROR", "CRITICAL"} else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chat": {"()": JsonFormatter} if form == "json" else _console()},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chat"}},
        "root": {"handlers": ["stderr"], "level": others},
        "loggers": {
            "socketio_app": {"level": level},
            "uvicorn": {"level": others},
            # They log session ids, which work like tokens as long as the session exists.
            **{name: {"level": "CRITICAL"} for name in ENGINE_LOGGERS},
        },
    }


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object on one line.

    It takes a tenth of the time that structlog takes: a server that restarts logs a line for each
    of its clients at once.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line: dict[str, object] = {
            "event": event_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": _timestamp(record.created),
        }
        given = record.__dict__
        line |= {name: given[name] for name in FIELDS if name in given}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = traceback_without_texts(record.exc_info[1])
        return json.dumps(line, default=repr)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat() + "Z"


def _console() -> dict[str, Any]:
    """Return the formatter for people, which has colors if structlog finds that possible."""
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [
            _replace_event,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ExtraAdder(allow=FIELDS),
        ],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _add_traceback,
            # With other formatters, structlog 25 warns about "exception".
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ],
    }


def traceback_without_texts(error: BaseException) -> str:
    """Return the traceback of an exception and its causes, without texts except `SYSTEM_ERRORS`."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < MAX_CAUSES:
        text = f": {current}" if isinstance(current, SYSTEM_ERRORS) else ""
        where = "".join(traceback.format_tb(current.__traceback__))
        name = f"{type(current).__module__}.{type(current).__qualname__}"
        parts.append(f"Traceback (most recent call last):\n{where}{name}{text}")
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return "\n\nafter\n\n".join(parts)


def _replace_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out the fields of the event's text: they are rendered on their own."""
    event["event"] = event_of(event["_record"])
    return event


def _add_traceback(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = traceback_without_texts(error)
    return event
