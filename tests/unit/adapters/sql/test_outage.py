"""One log line when a store becomes unavailable, and one when it recovers."""

import sqlite3

import pytest

from socketio_app.adapters.log_event import event_of
from socketio_app.adapters.sql.outage import Outage
from socketio_app.domain.errors import Unavailable


def failure(cause: Exception) -> Unavailable:
    unavailable = Unavailable("cannot write to the store")
    unavailable.__cause__ = cause
    return unavailable


def test_outage_is_logged_once_with_its_reason_and_its_end_with_its_duration(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage()

    outage.note(None)
    for _ in range(3):
        outage.note(failure(sqlite3.OperationalError("database or disk is full")))
    outage.note(None)
    outage.note(None)

    start, end = caplog.records
    assert event_of(start) == "the store is unavailable"
    assert vars(start)["reason"] == "OperationalError: database or disk is full"
    assert event_of(end) == "the store is available again"
    assert vars(end)["duration"] >= 0


def test_error_message_that_may_hold_content_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Outage().note(failure(ValueError("our secret")))

    (record,) = caplog.records
    assert vars(record)["reason"] == "ValueError"


def test_other_errors_are_not_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    Outage().note(RuntimeError("a fault"))

    assert caplog.records == []
