"""Errors reported to clients (docs/wire.md, "Errors")."""

import pytest

from socketio_app.domain import errors
from socketio_app.domain.errors import (
    ChatError,
    Conflict,
    ContentTooLong,
    InvalidPayload,
    NotAMember,
    RateLimited,
    TokenExpired,
    TooManyConnections,
    Unauthenticated,
    Unavailable,
    UnknownCommand,
)

CODES = {
    Unauthenticated: "unauthenticated",
    TokenExpired: "token_expired",
    TooManyConnections: "too_many_connections",
    InvalidPayload: "invalid_payload",
    ContentTooLong: "content_too_long",
    UnknownCommand: "unknown_command",
    NotAMember: "not_a_member",
    Conflict: "conflict",
    RateLimited: "rate_limited",
    Unavailable: "unavailable",
}


@pytest.mark.parametrize(("error", "code"), CODES.items())
def test_error_code_matches_wire_contract(error: type[ChatError], code: str) -> None:
    assert error.code == code


def test_all_errors_are_in_wire_contract() -> None:
    known = [each for each in vars(errors).values() if isinstance(each, type)]

    assert set(known) - {ChatError, errors.TokenRejected} == set(CODES)


def test_message_is_stored_unchanged() -> None:
    assert NotAMember("you are not in room lobby").message == "you are not in room lobby"


def test_invalid_payload_names_field() -> None:
    assert InvalidPayload("is missing", field="content").field == "content"
    assert InvalidPayload("is no object").field is None


def test_content_too_long_names_field() -> None:
    assert ContentTooLong("too long").field == "content"


def test_conflict_names_field() -> None:
    assert Conflict("used before").field == "client_message_id"


def test_rejected_token_separates_message_and_reason() -> None:
    rejected = Unauthenticated("the token is not valid", reason="unknown kid")

    assert rejected.message == "the token is not valid"
    assert rejected.reason == "unknown kid"
    assert Unauthenticated("there is no token").reason == "not given"


def test_rate_limited_has_retry_delay() -> None:
    limited = RateLimited("too fast", retry_after_ms=250)

    assert (limited.message, limited.retry_after_ms) == ("too fast", 250)
