"""Log lines, and what they must not contain."""

import contextlib
import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from logging.config import DictConfigurator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.adapters.log_event import EventWithFields
from socketio_app.entrypoints import serving
from socketio_app.entrypoints.logs import (
    FIELDS,
    MAX_CAUSES,
    Format,
    log_config,
    traceback_without_texts,
)
from socketio_app.entrypoints.settings import Settings
from tests.tokens import SECRET

SECRETS = st.text(st.characters(categories=["L", "N"]), min_size=12)


def line(record: logging.LogRecord, form: Format = "json") -> str:
    """Format a record."""
    described = log_config("info", form)["formatters"]["chat"]
    formatter: logging.Formatter = DictConfigurator({"version": 1}).configure_formatter(described)
    return formatter.format(record)


def record(message: str = "something happened", **fields: Any) -> logging.LogRecord:
    return logging.getLogger("socketio_app.socketio").makeRecord(
        "socketio_app.socketio", logging.INFO, "file.py", 1, message, (), None, extra=fields
    )


def failed(error: BaseException) -> logging.LogRecord:
    """Return a record of a raised exception."""
    made = record("fault in a command")
    with contextlib.suppress(type(error)):
        raise error
    made.exc_info = (type(error), error, error.__traceback__)
    return made


def test_json_line_has_event_fields_timestamp_and_logger() -> None:
    written = json.loads(line(record("connected", connection="c1", user="ada")))

    assert written.pop("timestamp").endswith("Z")
    assert written == {
        "event": "connected",
        "connection": "c1",
        "user": "ada",
        "level": "info",
        "logger": "socketio_app.socketio",
    }


def test_console_line_has_event_and_fields() -> None:
    written = line(record("connected", user="ada"), "console")

    assert "connected" in written
    assert "ada" in written


@pytest.mark.parametrize("form", ["json", "console"])
def test_fields_in_the_text_of_an_event_are_written_once(form: Format) -> None:
    fields = {"reason": "no token"}
    made = record("", **fields)
    made.msg = EventWithFields("connection rejected", fields)

    written = line(made, form)

    assert written.count("connection rejected") == written.count("no token") == 1


@given(secret=SECRETS)
def test_unknown_fields_are_not_written(secret: str) -> None:
    made = record(content=secret, token=secret, payload={"content": secret})

    assert {"content", "token", "payload"}.isdisjoint(FIELDS)
    for form in ("json", "console"):
        assert secret not in line(made, form)


@given(secret=SECRETS)
def test_exception_texts_are_not_written(secret: str) -> None:
    error = ValueError(secret)
    error.__cause__ = KeyError(secret)
    error.__cause__.__context__ = RuntimeError({"content": secret})

    for form in ("json", "console"):
        written = line(failed(error), form)

        assert secret not in written
        for name in ("ValueError", "KeyError", "RuntimeError", __file__):
            assert name in written


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), sqlite3.OperationalError("disk is full")]
)
def test_texts_of_system_errors_are_written(error: Exception) -> None:
    assert str(error) in line(failed(error))


def test_cyclic_exception_chain_is_limited() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first

    assert traceback_without_texts(first).count("Error") == MAX_CAUSES


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    """The output of loggers configured as in a server."""
    loggers = ["", *log_config("info", "json")["loggers"]]
    before = [(each, each.level, each.handlers[:]) for each in map(logging.getLogger, loggers)]
    configured = log_config("info", "json")
    written = io.StringIO()
    configured["handlers"]["stderr"]["stream"] = written
    logging.config.dictConfig(configured)
    yield written
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def test_other_loggers_write_warnings_but_no_sessions(
    stderr: io.StringIO,
) -> None:
    logging.getLogger("uvicorn.error").info("Uvicorn running")
    logging.getLogger("engineio.server").error("Invalid session SID")
    logging.getLogger("asyncio").error("a task failed")

    assert [json.loads(each)["event"] for each in stderr.getvalue().splitlines()] == [
        "a task failed"
    ]


@pytest.mark.parametrize(
    ("given_format", "is_terminal", "form"),
    [
        ("auto", True, "console"),
        ("auto", False, "json"),
        ("json", True, "json"),
        ("console", False, "console"),
    ],
)
def test_format_depends_on_terminal_unless_configured(
    monkeypatch: pytest.MonkeyPatch, given_format: str, is_terminal: bool, form: Format
) -> None:
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: is_terminal))

    assert serving.log_format(Settings(secret_key=SECRET, log_format=given_format)) == form
