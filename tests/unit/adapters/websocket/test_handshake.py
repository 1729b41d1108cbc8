"""Opening a WebSocket: the same scope and the same response as from uvicorn, in less time."""

import asyncio
import logging
from typing import Any, NamedTuple

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from socketio_app.adapters.websocket import handshake
from socketio_app.adapters.websocket.handshake import usual_handshake
from socketio_app.adapters.websocket.interface import EXTENSION
from socketio_app.adapters.websocket.uvicorn_http_protocol import BoundedHttpProtocol
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol

pytestmark = pytest.mark.anyio


class Protocols(NamedTuple):
    """The classes that serve a connection, first as HTTP and then as a WebSocket."""

    http: type[HttpToolsProtocol]
    websocket: type[WebSocketsSansIOProtocol]


UVICORN = Protocols(HttpToolsProtocol, WebSocketsSansIOProtocol)
OURS = {
    "both ours": Protocols(BoundedHttpProtocol, TakeoverProtocol),
    "uvicorn's HTTP": Protocols(HttpToolsProtocol, TakeoverProtocol),
}


@pytest.fixture(params=OURS.values(), ids=list(OURS))
def ours(request: pytest.FixtureRequest) -> Protocols:
    found: Protocols = request.param
    return found


KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
TEXT = b"\x81\x82\0\0\0\0hi"
"""A client's frame."""

USUAL = (
    b"GET /chat/%C3%A9?EIO=4&a=b HTTP/1.1\r\n"
    b"Host: example.org\r\n"
    b"upgrade: WebSocket\r\n"
    b"connection: keep-alive, Upgrade\r\n"
    b"origin: http://example.org\r\n"
    b"x-latin: caf\xe9: a, b\r\n"
    b"x-empty: \r\n"
    b"sec-websocket-version: 13\r\n"
    b"sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n"
    b"sec-websocket-key: " + KEY + b"\r\n\r\n"
)


class RecordingTransport:
    """A transport that records what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def get_extra_info(self, _name: str) -> None:
        return None

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.Protocol:
        return self.protocol

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True


class Echo:
    """An application that records its scope, accepts, and echoes one message."""

    scope: dict[str, Any]
    received: Any = None

    def __init__(self, **accept: Any) -> None:
        self.accept = {"type": "websocket.accept", **accept}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        await receive()
        await send(self.accept)
        self.received = await receive()
        await send({"type": "websocket.send", "text": self.received["text"]})


class Rejecting:
    """An application that rejects every WebSocket."""

    scope: dict[str, Any]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        await receive()
        await send({"type": "websocket.close"})


def started(
    protocols: Protocols, request: bytes, app: Any, **options: Any
) -> tuple[ServerState, RecordingTransport]:
    """Begin to serve a request."""
    config = uvicorn.Config(
        app,
        ws=protocols.websocket,
        log_config=None,
        proxy_headers=False,
        root_path="/mounted",
        **{"ws_per_message_deflate": False, "ws_ping_interval": None, **options},
    )
    config.load()
    state = ServerState()
    state.default_headers = [(b"server", b"test"), (b"X-Default", b"caf\xe9")]
    transport = RecordingTransport()
    protocol = protocols.http(config, state, {"from": "lifespan"})
    transport.set_protocol(protocol)
    protocol.connection_made(transport)  # type: ignore[arg-type]
    protocol.data_received(request)
    return state, transport


async def opened(
    protocols: Protocols,
    request: bytes,
    app: Any,
    *more: bytes,
    **options: Any,
) -> RecordingTransport:
    """Serve a request, and then more data, until the application returns."""
    state, transport = started(protocols, request, app, **options)
    for data in more:
        await asyncio.sleep(0)
        if not transport.is_closed:
            transport.protocol.data_received(data)
    while state.tasks:
        await asyncio.wait(state.tasks)
    return transport


def replaced(old: bytes, new: bytes) -> bytes:
    assert old in USUAL
    return USUAL.replace(old, new)


@pytest.mark.parametrize("level", [logging.WARNING, logging.INFO])
@pytest.mark.parametrize(
    "accept", [{}, {"headers": [(b"x-more", b"1")]}, {"subprotocol": "a"}, {"subprotocol": None}]
)
async def test_usual_handshake_has_the_scope_and_response_of_uvicorn(
    ours: Protocols, accept: dict[str, Any], level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level, "uvicorn.error")
    theirs, app = Echo(**accept), Echo(**accept)

    expected = await opened(UVICORN, USUAL, theirs, TEXT)
    logged = caplog.messages.copy()
    caplog.clear()
    found = await opened(ours, USUAL, app, TEXT)

    assert usual_handshake(USUAL) is not None
    assert isinstance(app.scope["extensions"].pop(EXTENSION), TakeoverProtocol)
    assert app.scope == theirs.scope
    assert found.written == expected.written
    assert found.written.endswith(b"\r\n\r\n\x81\x02hi")
    assert app.received == theirs.received
    assert caplog.messages == logged


class Waiting:
    """An application that accepts, and then waits for the client."""

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()


@pytest.mark.parametrize("ping_interval", [None, 20.0])
async def test_shutdown_closes_an_accepted_websocket_as_uvicorn_does(
    ours: Protocols, ping_interval: float | None
) -> None:
    written = []
    for protocols in (UVICORN, ours):
        state, transport = started(protocols, USUAL, Waiting(), ws_ping_interval=ping_interval)
        while not transport.written:
            await asyncio.sleep(0)
        (connection,) = state.connections
        connection.shutdown()
        await asyncio.wait(state.tasks)
        written.append(transport.written)

    assert written[1] == written[0]
    assert written[1].endswith((1012).to_bytes(2, "big"))


async def test_usual_handshake_is_rejected_as_by_uvicorn(ours: Protocols) -> None:
    expected = await opened(UVICORN, USUAL, Rejecting())
    found = await opened(ours, USUAL, Rejecting())

    assert _without_date(found.written) == _without_date(expected.written)
    assert found.written.startswith(b"HTTP/1.1 403 ")
    assert found.is_closed


UNUSUAL = {
    "another method": replaced(b"GET", b"PUT"),
    "HTTP/1.0": replaced(b"HTTP/1.1", b"HTTP/1.0"),
    "absolute URL": replaced(b"GET /", b"GET http://example.org/"),
    "other version": replaced(b"13", b"8"),
    "no version": replaced(b"sec-websocket-version: 13\r\n", b""),
    "no upgrade": replaced(b"upgrade: WebSocket\r\n", b""),
    "other upgrade": replaced(b"WebSocket", b"h2c"),
    "no connection": replaced(b"connection: keep-alive, Upgrade\r\n", b""),
    "other connection": replaced(b"keep-alive, Upgrade", b"close"),
    "no key": replaced(b"sec-websocket-key: " + KEY + b"\r\n", b""),
    "short key": replaced(KEY, b"AAAA"),
    "long key": replaced(KEY, KEY.replace(b"=", b"A")),
    "two keys": replaced(b"x-empty: \r\n", b"sec-websocket-key: " + KEY + b"\r\n"),
    "two versions": replaced(b"x-empty: \r\n", b"sec-websocket-version: 13\r\n"),
    "two origins": replaced(b"x-empty: \r\n", b"origin: http://example.com\r\n"),
    "subprotocols": replaced(b"x-empty: ", b"sec-websocket-protocol: a, b"),
    "invalid subprotocols": replaced(b"x-empty: ", b"sec-websocket-protocol: ,,;"),
    "transfer encoding": replaced(b"x-empty: ", b"transfer-encoding: chunked"),
    "body": replaced(b"x-empty: ", b"content-length: 3"),
    "control character": replaced(b"example.org", b"exam\x01ple.org"),
    "white space in a name": replaced(b"x-empty: ", b"x empty: "),
    "white space after a value": replaced(b"Host: example.org", b"host: example.org  "),
    "long header": replaced(b"x-empty: ", b"x-empty: " + b"x" * 9000),
    "many headers": replaced(b"x-empty: \r\n", b"".join(b"x-%d: 1\r\n" % i for i in range(150))),
    "not HTTP": b"\x16\x03\x01\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", UNUSUAL.values(), ids=UNUSUAL.keys())
async def test_other_requests_are_left_to_uvicorn(ours: Protocols, request_bytes: bytes) -> None:
    theirs, app = Rejecting(), Rejecting()

    expected = await opened(UVICORN, request_bytes, theirs)
    found = await opened(ours, request_bytes, app)

    assert usual_handshake(request_bytes) is None
    assert _without_date(found.written) == _without_date(expected.written)
    assert hasattr(app, "scope") == hasattr(theirs, "scope")
    assert found.is_closed == expected.is_closed


async def test_request_after_a_rejected_one_is_ignored(ours: Protocols) -> None:
    expected = await opened(UVICORN, UNUSUAL["other version"], Echo(), USUAL)
    app = Echo()

    found = await opened(ours, UNUSUAL["other version"], app, USUAL)

    assert not hasattr(app, "scope")
    assert _without_date(found.written) == _without_date(expected.written)


async def test_compression_is_still_negotiated_if_it_is_enabled(ours: Protocols) -> None:
    found = await opened(ours, USUAL, Echo(), TEXT, ws_per_message_deflate=True)

    assert b"Sec-WebSocket-Extensions: permessage-deflate" in found.written


def _without_date(response: bytes) -> list[bytes]:
    return [line for line in response.split(b"\r\n") if not line.lower().startswith(b"date:")]


def test_request_over_the_limit_is_not_checked() -> None:
    long = replaced(b"x-empty: ", b"x-empty: " + b"x" * handshake.MAX_REQUEST_BYTES)

    assert usual_handshake(long) is None
