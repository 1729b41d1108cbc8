"""Conversion of ASGI requests to the WSGI environ (PEP 3333) that python-engineio expects."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.types import Message, Receive, Scope, Send

from socketio_app.domain.errors import Unauthenticated

MAX_QUERY_BYTES = 8192
"""Maximum size of a query string, which clients control; a longer one is not parsed."""

MAX_HEADERS = 200
"""Maximum number of headers; a request with more is rejected."""


class BodyTooLongError(Exception):
    """A request body or packet exceeds its limit."""


class Body:
    """A request body, read on demand."""

    def __init__(self, first: Message, receive: Receive) -> None:
        self._message = first
        self._receive = receive

    async def read(self, max_bytes: int) -> bytes | None:
        """Return the entire body, or `None` if the client disconnects before sending all of it.

        Raises:
            TooLongError: the body is longer than `max_bytes`.
        """
        body = bytearray(self._message.get("body", b""))
        while len(body) <= max_bytes and self._message.get("more_body", False):
            self._message = await self._receive()
            if self._message["type"] == "http.disconnect":
                return None
            body += self._message.get("body", b"")
        if len(body) > max_bytes:
            raise BodyTooLongError
        return bytes(body)


async def build_environ(scope: Scope, receive: Receive, send: Send) -> dict[str, Any] | None:
    """Return a request's environ, or `None` if the client has already disconnected."""
    first = await receive()
    if first["type"] not in {"http.request", "websocket.connect"}:
        return None
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "PATH_INFO": scope["path"],
        "QUERY_STRING": (scope.get("query_string") or b"").decode("latin-1"),
        "wsgi.input": Body(first, receive),
        "asgi.receive": receive,
        "asgi.send": send,
        "asgi.scope": scope,
    }
    if _is_too_large(scope):
        environ["QUERY_STRING"] = ""
    for name, value in scope["headers"][:MAX_HEADERS]:
        key = _key(name)
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    # Decided by the scope's type, not by the `Upgrade` header.
    environ.pop("HTTP_UPGRADE", None)
    if scope["type"] == "websocket":
        environ["HTTP_UPGRADE"] = "websocket"
    forwarded = _first(environ.get("HTTP_X_FORWARDED_PROTO", ""))
    scheme = forwarded or scope.get("scheme", "http")
    environ["wsgi.url_scheme"] = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return environ


def allowed_origins(environ: Mapping[str, Any], named: Sequence[str] | None) -> list[str] | None:
    """Return the origins that are allowed for a request; `None`: all.

    The server's own are always allowed, by its own host name and its outermost proxy's.

    Args:
        environ: the request's environ.
        named: other allowed origins, or patterns with a `*` in the first label of the host;
            `None`: none; `["*"]`: all.
    """
    if named is not None and "*" in named:
        return None
    hosts = (environ.get("HTTP_HOST", ""), _first(environ.get("HTTP_X_FORWARDED_HOST", "")))
    own = [f"{environ['wsgi.url_scheme']}://{host}" for host in hosts if host]
    origin = environ.get("HTTP_ORIGIN")
    if origin and named and any(_matches(pattern, origin) for pattern in named if "*" in pattern):
        own.append(origin)
    return [*(named or ()), *own]


def _matches(pattern: str, origin: str) -> bool:
    """Whether an origin is that of a pattern, whose only `*` is a part of one label of the host."""
    before, _, after = pattern.partition("*")
    if not (origin.startswith(before) and origin.endswith(after)):
        return False
    return _IN_LABEL.fullmatch(origin, len(before), len(origin) - len(after)) is not None


_IN_LABEL: Final = re.compile("[a-z0-9_-]+")


def is_allowed_origin(environ: Mapping[str, Any], named: Sequence[str] | None) -> bool:
    """Whether a request's origin is allowed. Clients other than browsers send none."""
    origin, allowed = environ.get("HTTP_ORIGIN"), allowed_origins(environ, named)
    return not origin or allowed is None or origin in allowed


def _is_too_large(scope: Scope) -> bool:
    query: bytes = scope.get("query_string") or b""
    return len(query) > MAX_QUERY_BYTES or len(scope["headers"]) > MAX_HEADERS


def request_problem(environ: dict[str, Any]) -> str | None:
    """Return why a request is invalid (Engine.IO protocol 4, "Query parameters"), or `None`."""
    if _is_too_large(environ["asgi.scope"]):
        return "Too many headers, or query string too long"
    query = parse_qs(environ["QUERY_STRING"])
    if query.get("EIO") != ["4"]:
        return "Unsupported protocol version"
    transport = query.get("transport")
    over_websocket = environ["asgi.scope"]["type"] == "websocket"
    if transport not in (["polling"], ["websocket"]) or (
        over_websocket and transport != ["websocket"]
    ):
        return "Invalid transport"
    return None


_OPENING: Final = frozenset({"EIO=4&transport=websocket", "transport=websocket&EIO=4"})


def opens_over_websocket(environ: Mapping[str, Any]) -> bool:
    """Whether a request is the usual one to open a session over a WebSocket.

    There is no problem with it (`request_problem`), and no need to parse its query.
    """
    return environ["QUERY_STRING"] in _OPENING and environ["asgi.scope"]["type"] == "websocket"


def extract_token(auth: object, environ: Mapping[str, Any]) -> str:
    """Return the token from the CONNECT packet or `Authorization` header (RFC 6750, section 2.1).

    The query string is not supported, because it ends up in logs.

    Raises:
        Unauthenticated: there is no token.
    """
    match auth:
        case {"token": str(given)}:
            return given
    token = bearer_token(environ)
    if token is None:
        raise Unauthenticated("there is no token: give it as auth.token", reason="no token")
    return token


def bearer_token(environ: Mapping[str, Any]) -> str | None:
    """Return the token from the `Authorization` header, if any."""
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token else None


def _first(listed: str) -> str:
    """Return the first item of a header, which the outermost proxy has added."""
    return listed.partition(",")[0].strip()


def _key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
