"""Log lines that are complete without a formatter that renders their fields."""

import logging
from collections.abc import Mapping


class EventWithFields:
    """The message of a log record: an event, with its fields in the text.

    The default logging of Python and of ASGI servers writes only the text of a record. The fields
    are passed as `extra` as well, for formatters that render them.
    """

    def __init__(self, event: str, fields: Mapping[str, object]) -> None:
        self.event = event
        self._fields = fields

    def __str__(self) -> str:
        fields = ", ".join(f"{name}: {_printable(value)}" for name, value in self._fields.items())
        return f"{self.event} ({fields})" if fields else self.event


def event_of(record: logging.LogRecord) -> str:
    """Return a record's event, without its fields."""
    message: object = record.msg
    return message.event if isinstance(message, EventWithFields) else record.getMessage()


def log_event(log: logging.Logger, level: int, event: str, fields: Mapping[str, object]) -> None:
    """Log an event with fields."""
    log.log(level, EventWithFields(event, fields), extra=fields)


def _printable(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else ascii(text)
