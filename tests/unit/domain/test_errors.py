"""The errors that clients know (docs/wire.md, "Errors")."""

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
def test_each_error_has_the_code_that_the_contract_gives_it(
    error: type[ChatError], code: str
) -> None:
    assert error.code == code


def test_there_is_no_error_that_the_contract_does_not_know() -> None:
    known = [each for each in vars(errors).values() if isinstance(each, type)]

    assert set(known) - {ChatError, errors.TokenRejected} == set(CODES)


def test_a_message_is_told_as_it_is() -> None:
    assert NotAMember("you are not in room lobby").message == "you are not in room lobby"


def test_an_invalid_payload_names_the_field_if_it_is_one() -> None:
    assert InvalidPayload("is missing", field="content").field == "content"
    assert InvalidPayload("is no object").field is None


def test_content_that_is_too_long_names_its_field() -> None:
    assert ContentTooLong("too long").field == "content"


def test_a_conflict_names_its_field() -> None:
    assert Conflict("used before").field == "client_message_id"


def test_a_rejected_token_has_a_reason_for_the_log_and_a_message_for_the_client() -> None:
    rejected = Unauthenticated("the token is not valid", reason="unknown kid")

    assert rejected.message == "the token is not valid"
    assert rejected.reason == "unknown kid"
    assert Unauthenticated("there is no token").reason == "not given"


def test_who_is_too_fast_learns_how_long_to_wait() -> None:
    limited = RateLimited("too fast", retry_after_ms=250)

    assert (limited.message, limited.retry_after_ms) == ("too fast", 250)
