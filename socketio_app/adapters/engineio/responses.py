"""HTTP responses to polling requests and WebSocket handshakes."""

from http import HTTPStatus
from typing import Any, Final

Response = dict[str, Any]
"""A response as python-engineio has it: `status`, `headers` and `response`, its body."""

DENIAL = "websocket.http.response"
"""ASGI extension "Websocket Denial Response": an HTTP response to a WebSocket handshake."""


_VARY: Final = (b"vary", b"Origin")
"""For caches: whether a request is allowed, and the header that says so, depend on its origin."""


async def make_response(
    status: str, headers: list[tuple[str, str]], body: bytes, environ: dict[str, Any]
) -> None:
    """Send an HTTP response, also to a WebSocket handshake if the server supports that.

    Other servers reject the handshake with status 403. Names of headers are in lower case, as ASGI
    requires: otherwise, middleware does not find them, and adds a second one.
    """
    scope, send = environ["asgi.scope"], environ["asgi.send"]
    kind = "http.response"
    if scope["type"] == "websocket":
        if DENIAL not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "reason": body.decode()})
            return
        kind = DENIAL
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    encoded.append(_VARY)
    start = {"type": f"{kind}.start", "status": int(status.split(" ")[0]), "headers": encoded}
    await send(start)
    await send({"type": f"{kind}.body", "body": body})


async def respond(response: Response, environ: dict[str, Any]) -> None:
    """Send a response (`make_response`)."""
    await make_response(response["status"], response["headers"], response["response"], environ)


def rejection(status: HTTPStatus, reason: str, *headers: tuple[str, str]) -> Response:
    """Return a response that rejects a request."""
    return {
        "status": f"{status.value} {status.phrase.upper()}",
        "headers": [("Content-Type", "text/plain"), *headers],
        "response": reason.encode(),
    }


_RETRY_ELSEWHERE = (("Connection", "close"), ("Retry-After", "1"))
"""Headers that close the connection, so that retries may reach another server."""

SHUTTING_DOWN: Final = rejection(
    HTTPStatus.SERVICE_UNAVAILABLE, "The server is shutting down.", *_RETRY_ELSEWHERE
)
"""Response to a handshake during shutdown."""

TOO_MANY_HANDSHAKES: Final = rejection(
    HTTPStatus.TOO_MANY_REQUESTS, "Too many handshakes from this address.", *_RETRY_ELSEWHERE
)
"""Response to a handshake from an address over its rate limit (RFC 6585, section 4)."""
