"""A real HTTP server that publishes keys, and fails in the ways of real ones."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        self.server.owner.answer(self)

    def log_message(self, *_arguments: object) -> None: ...


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_request: object) -> None:
        """Print nothing: a client that does not trust the server closes the connection."""


@attrs.define(eq=False)
class KeyServer:
    """Answers each request with `behave`. Requests that hang end with the server."""

    url: str
    behave: Callable[["KeyServer", BaseHTTPRequestHandler], None]
    requests: int = 0
    ended: threading.Event = attrs.field(factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        self.behave(self, request)


def publishing(document: bytes) -> Callable[[KeyServer, BaseHTTPRequestHandler], None]:
    def behave(_server: KeyServer, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(document)))
        request.end_headers()
        request.wfile.write(document)

    return behave


def failing(status: int, **headers: str) -> Callable[[KeyServer, BaseHTTPRequestHandler], None]:
    def behave(_server: KeyServer, request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            request.send_header(name, value)
        request.end_headers()

    return behave


def hanging(server: KeyServer, _request: BaseHTTPRequestHandler) -> None:
    """Accept the request, and never answer."""
    server.ended.wait()


def dripping(server: KeyServer, request: BaseHTTPRequestHandler) -> None:
    """Send headers without end, slowly enough for no single read to time out."""
    request.wfile.write(b"HTTP/1.0 200 OK\r\n")
    while not server.ended.wait(0.01):
        try:
            request.wfile.write(b"X-More: x\r\n")
        except OSError:
            return


def flooding(server: KeyServer, request: BaseHTTPRequestHandler) -> None:
    """Send a document without end."""
    request.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
    while not server.ended.is_set():
        try:
            request.wfile.write(b" " * 65_536)
        except OSError:
            return


def closing(_server: KeyServer, request: BaseHTTPRequestHandler) -> None:
    """Close the connection without an answer."""
    request.close_connection = True


@contextmanager
def key_server(
    behave: Callable[[KeyServer, BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None
) -> Iterator[KeyServer]:
    """Serve on a free port of the loopback interface, with TLS if given."""
    http = _Server(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    server = KeyServer(f"{scheme}://127.0.0.1:{http.server_port}/jwks.json", behave)
    http.owner = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        http.server_close()
        thread.join()
