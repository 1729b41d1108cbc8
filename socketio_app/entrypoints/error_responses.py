"""HTTP responses for errors of the chat, in the routes of a host application."""

from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from socketio_app.adapters.wire.outgoing import error_payload
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

STATUSES: Final[Mapping[str, HTTPStatus]] = {
    Unauthenticated.code: HTTPStatus.UNAUTHORIZED,
    TokenExpired.code: HTTPStatus.UNAUTHORIZED,
    TooManyConnections.code: HTTPStatus.TOO_MANY_REQUESTS,
    InvalidPayload.code: HTTPStatus.UNPROCESSABLE_ENTITY,
    ContentTooLong.code: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownCommand.code: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotAMember.code: HTTPStatus.FORBIDDEN,
    Conflict.code: HTTPStatus.CONFLICT,
    RateLimited.code: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable.code: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The status of a response, by the error's code."""

RETRY_SECONDS: Final = 1
"""`Retry-After` of errors that do not say when to retry."""

_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN_LATER: Final = 1013
"""Close codes: RFC 6455, section 7.4.1, and IANA's registry."""


async def handle_chat_error(connection: HTTPConnection, error: Exception) -> Response:
    """Respond to a request whose route has raised a `ChatError`.

    An exception handler for FastAPI and Starlette:
    `app.add_exception_handler(ChatError, handle_chat_error)`. The response is the error as clients
    of the chat receive it (docs/wire.md, "Errors"), as `detail`, with a matching status. A
    WebSocket is closed, with the code as the reason.

    Raises:
        Exception: the error, if it is not a `ChatError`.
    """
    if not isinstance(error, ChatError):
        raise error
    if isinstance(connection, WebSocket):
        await _close(connection, error)
        return _AlreadySent()
    detail = error_payload(error)
    return JSONResponse({"detail": detail}, status_of(error), headers=_headers(error))


def status_of(error: ChatError) -> HTTPStatus:
    """Return the HTTP status for an error."""
    return STATUSES[error.code]


def _headers(error: ChatError) -> dict[str, str]:
    match status_of(error):
        case HTTPStatus.UNAUTHORIZED:
            return {"WWW-Authenticate": "Bearer"}
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            milliseconds = getattr(error, "retry_after_ms", 1000 * RETRY_SECONDS)
            return {"Retry-After": str(ceil(milliseconds / 1000))}
        case _:
            return {}


async def _close(websocket: WebSocket, error: ChatError) -> None:
    if websocket.application_state is not WebSocketState.DISCONNECTED:
        is_temporary = "Retry-After" in _headers(error)
        code = _TRY_AGAIN_LATER if is_temporary else _POLICY_VIOLATION
        await websocket.close(code, error.code)


class _AlreadySent(Response):
    """Sends nothing: some versions of Starlette send the response of a handler to a WebSocket."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pass
