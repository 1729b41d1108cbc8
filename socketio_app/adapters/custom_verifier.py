"""Token verification by a function of the host application."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

from starlette.requests import HTTPConnection
from starlette.types import Scope

from socketio_app.adapters.claims import EXPIRED, moment, rejected, seconds, user_id
from socketio_app.adapters.error_place import type_and_place
from socketio_app.application.cancellation import is_current_task_cancelled
from socketio_app.application.ports import Clock, Identity
from socketio_app.application.signatures import accepts
from socketio_app.domain.errors import TokenExpired, Unauthenticated

VerifyToken: TypeAlias = Callable[[str], object] | Callable[[str | None, HTTPConnection], object]
"""A host application's function, with or without the request that opened the connection."""


def takes_request(verify_token: Callable[..., object]) -> bool:
    """Whether a function takes the request: it has a second required parameter, or a `request`."""
    try:
        parameters = inspect.signature(verify_token).parameters
    except (TypeError, ValueError):  # a function that does not tell, such as a built-in one
        return False
    required = [
        parameter
        for parameter in parameters.values()
        if parameter.kind in _POSITIONAL and parameter.default is inspect.Parameter.empty
    ]
    return len(required) == 2 or "request" in parameters


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def check_verify_token(verify_token: Callable[..., object]) -> None:
    """Check that a function can be called with a token, or with a token and the request.

    Raises:
        TypeError: it cannot, and would reject every token.
    """
    if not (
        accepts(verify_token, "token")
        or accepts(verify_token, "token", "request")
        or accepts(verify_token, "token", request="request")
    ):
        raise TypeError("verify_token must take a token, and optionally the request")


class CustomVerifier:
    """Verifies tokens with the host application's `verify_token`. Implements `TokenVerifier`.

    `verify_token` may be a plain or an async function. It returns the user id, a mapping of claims
    with a `sub` and optionally an `exp`, or an `Identity`. To reject a token it returns `None` or
    `False`, or raises any exception. A plain function blocks the event loop while it runs.
    """

    def __init__(self, verify_token: Callable[..., object], clock: Clock) -> None:
        self._verify_token = verify_token
        self._clock = clock

    async def verify(self, token: str) -> Identity:
        """See `TokenVerifier.verify`."""
        return await self._identify(partial(self._verify_token, token))

    async def _identify(self, verify: Callable[[], object]) -> Identity:
        answer = await _answer(verify)
        if answer is None or answer is False:
            raise rejected(f"verify_token returned {answer}")
        identity = _identity(answer)
        if identity is None:
            raise rejected(
                f"verify_token returned {type(answer).__name__} without a user id; it must return "
                "a user id, claims with a sub (and a numeric exp, if any), an Identity, or None"
            )
        if identity.expires_at is not None and identity.expires_at <= self._clock.wall_time():
            raise TokenExpired(EXPIRED, "verify_token returned an expiry in the past")
        return identity


class CustomRequestVerifier(CustomVerifier):
    """Passes the request that opened the connection to `verify_token`, for example for cookies.

    Implements `RequestVerifier`. A token that replaces an earlier one comes with an empty request:
    the cookies of the first one are as old as the connection, and must not stand in for the token.
    """

    def __init__(self, verify_token: Callable[..., object], clock: Clock) -> None:
        super().__init__(verify_token, clock)
        self._is_named = "request" in inspect.signature(verify_token).parameters

    async def verify(self, token: str) -> Identity:
        """See `TokenVerifier.verify`."""
        return await self.verify_request(token, dict(_NO_REQUEST))

    async def verify_request(self, token: str | None, scope: Scope) -> Identity:
        """See `RequestVerifier.verify_request`."""
        request = HTTPConnection(scope)
        if self._is_named:
            return await self._identify(partial(self._verify_token, token, request=request))
        return await self._identify(partial(self._verify_token, token, request))


_NO_REQUEST: Final[Mapping[str, Any]] = {
    "type": "http",
    "method": "GET",
    "scheme": "http",
    "path": "",
    "query_string": b"",
    "headers": [],
}


async def _answer(verify: Callable[[], object]) -> object:
    try:
        answer = verify()
        return await answer if inspect.isawaitable(answer) else answer
    except (Unauthenticated, TokenExpired):
        raise
    except asyncio.CancelledError:
        if is_current_task_cancelled():
            raise
        raise rejected("verify_token was cancelled by something it awaited") from None
    except Exception as error:  # noqa: BLE001  (any exception rejects the token)
        if _says_expired(error):
            raise TokenExpired(EXPIRED, "verify_token raised ExpiredSignatureError") from None
        # Leave out the message, the cause and local variables: they may hold the token.
        raise rejected(f"verify_token raised {type_and_place(error)}") from None


def _says_expired(error: Exception) -> bool:
    """Whether the error is that of python-jose, PyJWT and others for an expired token."""
    return any(kind.__name__ == "ExpiredSignatureError" for kind in type(error).__mro__)


def _identity(answer: object) -> Identity | None:
    """Return the identity in an answer; `None` if the answer is not of a supported form."""
    try:
        match answer:
            case Identity():
                return Identity(user_id(answer.user_id), _utc(answer.expires_at))
            case Mapping():
                end = answer.get("exp")
                end = None if end is None else moment(seconds(end))
                return Identity(user_id(answer.get("sub")), end)
            case _:
                return Identity(user_id(answer), None)
    except (Unauthenticated, ValueError):
        return None


def _utc(end: object) -> datetime | None:
    if end is None:
        return None
    if not isinstance(end, datetime) or end.utcoffset() is None:
        raise ValueError("expires_at must be a datetime with a time zone")
    return moment(end.timestamp())
