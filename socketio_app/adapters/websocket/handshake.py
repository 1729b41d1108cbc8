"""WebSocket handshakes as nearly all clients send them, checked in one pass (RFC 6455, section 4).

Any other request is left to uvicorn and the websockets package, which take ten times as long: it is
either unusual, or invalid and needs the right error.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1
from typing import Final, NamedTuple

MAX_REQUEST_BYTES: Final = 4096
"""Maximum size of a request that is checked here."""

_REQUEST: Final = re.compile(
    rb"GET (/[!-~]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9a-zA-Z]+: "
    rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?\r\n){1,100})\r\n"
)
"""A request with its headers, with a space before each value and no white space after it."""

_HEADER: Final = re.compile(rb"([^:]*): ([^\r]*)\r\n")

_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
_CONNECTION: Final = frozenset({b"upgrade", b"keep-alive, upgrade"})
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_RESPONSE: Final = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
_UNUSUAL: Final = frozenset({b"sec-websocket-protocol", b"content-length", b"transfer-encoding"})


class Handshake(NamedTuple):
    """A valid request for a WebSocket, without a subprotocol."""

    request: bytes
    path: bytes
    """The path with the query, as the client sent it."""
    headers: list[tuple[bytes, bytes]]
    response_headers: list[tuple[str, str]]

    def response(self, more_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the response that accepts the request, with more headers."""
        lines = [f"{name}: {value}\r\n".encode() for name, value in self.response_headers]
        lines += [b"%b: %b\r\n" % (name.lower(), value) for name, value in more_headers]
        return b"HTTP/1.1 101 Switching Protocols\r\n%b\r\n" % b"".join(lines)


def usual_handshake(request: bytes) -> Handshake | None:
    """Return the handshake in a complete request; `None` if it is unusual or invalid."""
    found = _REQUEST.fullmatch(request) if len(request) <= MAX_REQUEST_BYTES else None
    if found is None:
        return None
    headers = [(name.lower(), value) for name, value in _HEADER.findall(found[2])]
    values = dict(headers)
    key = values.get(b"sec-websocket-key", b"")
    if (
        len(values) != len(headers)
        or values.get(b"upgrade", b"").lower() != b"websocket"
        or values.get(b"connection", b"").lower() not in _CONNECTION
        or values.get(b"sec-websocket-version") != b"13"
        or not _KEY.fullmatch(key)
        or not _UNUSUAL.isdisjoint(values)
    ):
        return None
    accept = b64encode(sha1(key + _GUID, usedforsecurity=False).digest()).decode()
    return Handshake(request, found[1], headers, [*_RESPONSE, ("Sec-WebSocket-Accept", accept)])
