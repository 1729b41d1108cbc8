"""What `verify_token` takes: a token, or a token and the request."""

from collections.abc import Callable
from functools import partial

import pytest
from starlette.requests import HTTPConnection

from socketio_app.adapters.custom_verifier import (
    CustomRequestVerifier,
    check_verify_token,
    takes_request,
)
from tests.clocks import ManualClock

pytestmark = pytest.mark.anyio


def with_default(token: str, sessions: object = None) -> None: ...
def with_request(token: str | None, request: HTTPConnection) -> None: ...
def with_optional_request(token: str | None, request: HTTPConnection | None = None) -> None: ...
def with_second_parameter(token: str | None, connection: HTTPConnection) -> None: ...
def with_request_by_name(token: str | None, *, request: HTTPConnection) -> None: ...


class HostSessions:
    def user_of(self, token: str) -> None: ...
    def user_of_request(self, token: str | None, request: HTTPConnection) -> None: ...


@pytest.mark.parametrize(
    ("verify_token", "expected"),
    [
        (with_default, False),
        (HostSessions().user_of, False),
        (str, False),
        (lambda *tokens: None, False),
        (with_request, True),
        (with_optional_request, True),
        (with_second_parameter, True),
        (with_request_by_name, True),
        (HostSessions().user_of_request, True),
        (partial(with_second_parameter, connection=HTTPConnection({"type": "http"})), False),
    ],
)
def test_second_required_parameter_or_one_named_request_takes_the_request(
    verify_token: Callable[..., object], expected: bool
) -> None:
    assert takes_request(verify_token) is expected


def without_parameters() -> None: ...
def with_three_parameters(token: str, request: HTTPConnection, database: object) -> None: ...
def with_required_name(token: str, *, database: object) -> None: ...


@pytest.mark.parametrize(
    "verify_token", [without_parameters, with_three_parameters, with_required_name]
)
def test_function_that_takes_other_arguments_is_an_error(
    verify_token: Callable[..., object],
) -> None:
    with pytest.raises(TypeError, match=r"^verify_token must take a token, and optionally the req"):
        check_verify_token(verify_token)


@pytest.mark.parametrize(
    "verify_token", [with_default, with_request, with_request_by_name, with_optional_request, str]
)
def test_function_that_takes_a_token_is_accepted(verify_token: Callable[..., object]) -> None:
    check_verify_token(verify_token)


@pytest.mark.parametrize("by_name", [True, False])
async def test_request_is_passed_by_position_or_by_name(by_name: bool) -> None:
    def named(token: str | None, *, request: HTTPConnection) -> str:
        return f"{token} {request.cookies['session']}"

    def positional(token: str | None, connection: HTTPConnection) -> str:
        return named(token, request=connection)

    verifier = CustomRequestVerifier(named if by_name else positional, ManualClock())
    scope = {"type": "websocket", "headers": [(b"cookie", b"session=of-ada")]}

    assert (await verifier.verify_request(None, scope)).user_id == "None of-ada"


async def test_new_token_of_a_connection_comes_with_an_empty_request() -> None:
    def verify(token: str | None, request: HTTPConnection) -> str:
        return f"{token} {len(request.headers)} {len(request.cookies)} {request.client}"

    identity = await CustomRequestVerifier(verify, ManualClock()).verify("new")

    assert identity.user_id == "new 0 0 None"
