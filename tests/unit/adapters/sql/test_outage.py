"""A store that cannot be written to is one line of the log, and another when it is back."""

import sqlite3

import pytest

from socketio_app.adapters.sql.outage import Outage
from socketio_app.domain.errors import Unavailable


def failure(cause: Exception) -> Unavailable:
    unavailable = Unavailable("cannot write to the store")
    unavailable.__cause__ = cause
    return unavailable


def test_an_outage_is_told_once_with_its_reason_and_its_end_with_how_long_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage()

    outage.note(None)
    for _ in range(3):
        outage.note(failure(sqlite3.OperationalError("database or disk is full")))
    outage.note(None)
    outage.note(None)

    began, ended = caplog.records
    assert began.getMessage() == "the store is unavailable"
    assert vars(began)["reason"] == "OperationalError: database or disk is full"
    assert ended.getMessage() == "the store is available again"
    assert vars(ended)["duration"] >= 0


def test_a_text_that_may_hold_what_was_to_be_stored_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Outage().note(failure(ValueError("our secret")))

    (record,) = caplog.records
    assert vars(record)["reason"] == "ValueError"


def test_a_fault_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    Outage().note(RuntimeError("a fault"))

    assert caplog.records == []
