"""Rejections are logged with their reasons, at a limited rate of warnings."""

import logging

import pytest

from socketio_app.adapters.fanout.rejection_log import RejectionLog
from socketio_app.adapters.log_rate import WARNING_RATE
from socketio_app.domain.errors import RateLimited, Unauthenticated

REJECTED = Unauthenticated("the token is not valid", reason="no token")


def test_text_of_a_rejection_has_all_of_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    RejectionLog().rejected("connection rejected", REJECTED, {"address": "192.0.2.1"})

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "connection rejected (address: 192.0.2.1, code: unauthenticated, reason: no token)"
    )


def test_user_id_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    RejectionLog().rejected("token refresh rejected", REJECTED, {"user": "ada\nroot logged in"})

    assert "\n" not in caplog.records[0].getMessage()


def test_only_rejected_tokens_are_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    RejectionLog().rejected("connection rejected", RateLimited("too fast", 1000), {})

    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_many_sources_cause_a_limited_number_of_warnings(caplog: pytest.LogCaptureFixture) -> None:
    log = RejectionLog()

    for number in range(2 * WARNING_RATE.burst + 100):
        log.rejected("connection rejected", REJECTED, {"address": f"2001:db8:{number:x}::/64"})

    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert WARNING_RATE.burst <= len(warnings) <= 2 * WARNING_RATE.burst
