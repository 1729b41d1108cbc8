"""Fetching a document over HTTP in a thread, with bounds on its time and its size.

A thread, because resolving names and verifying certificates block. It is a daemon thread: neither a
server that hangs nor the exit of the process waits for it.
"""

import asyncio
import contextlib
import http.client
import socket
import ssl
from collections.abc import Callable
from functools import partial
from threading import Thread
from time import monotonic
from typing import Any, Final, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from socketio_app.application.futures import set_exception, set_result

Parsed = TypeVar("Parsed")

TIMEOUT_SECONDS: Final = 5.0
"""Maximum time for the whole fetch."""

MAX_BYTES: Final = 262_144
"""Maximum size of a document. Key sets of large issuers have some 10 kB."""

_CHUNK_BYTES: Final = 65_536


class FetchFailedError(Exception):
    """The document cannot be fetched or parsed. The message is one line without the URL."""


async def fetch(url: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Fetch a document and parse it, both in a thread. Redirects are not followed.

    Raises:
        FetchFailedError: the server does not answer in time, or with another status than 2xx; the
            document is too large; or `parse` raised a ValueError.
    """
    loop = asyncio.get_running_loop()
    parsed: asyncio.Future[Parsed] = loop.create_future()
    download = _Download(url)

    def run() -> None:
        try:
            report = partial(set_result, parsed, parse(download.body()))
        except Exception as error:  # noqa: BLE001  (passed on to the caller)
            report = partial(set_exception, parsed, FetchFailedError(_reason(error)))
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(report)

    Thread(target=run, name="socketio-app-fetch", daemon=True).start()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await parsed
    except TimeoutError:
        raise FetchFailedError(_TOO_SLOW) from None
    finally:
        download.abort()


_TOO_SLOW: Final = f"no answer within {TIMEOUT_SECONDS:g} seconds"


class _Download:
    """A GET request that another thread can abort.

    urllib's time-out applies to each read of the socket, so that a server that sends a byte now and
    then would never time out.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._deadline = monotonic() + TIMEOUT_SECONDS
        self._connections: list[http.client.HTTPConnection] = []

    def body(self) -> bytes:
        """Return the document."""
        request = Request(self._url, headers={"Accept": "application/json"})  # noqa: S310  (checked by the setting)
        try:
            with self._opener().open(request, timeout=TIMEOUT_SECONDS) as answer:
                return self._read(answer)
        except HTTPError as error:
            with error:
                raise ValueError(f"HTTP status {error.code}") from None

    def abort(self) -> None:
        """Make the thread stop waiting for the server's headers."""
        for connection in self._connections:
            if isinstance(connection.sock, socket.socket):
                with contextlib.suppress(OSError):  # it is not connected
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        body = bytearray()
        while chunk := answer.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES} bytes")
            if monotonic() > self._deadline:
                raise ValueError(_TOO_SLOW)
        return bytes(body)

    def _opener(self) -> OpenerDirector:
        opener = OpenerDirector()
        for handler in (
            ProxyHandler(),  # as the environment says
            _Http(self._connect),
            _Https(self._connect),
            HTTPErrorProcessor(),
            HTTPDefaultErrorHandler(),
        ):
            opener.add_handler(handler)
        return opener

    def _connect(self, kind: Callable[..., Any], *place: Any, **options: Any) -> Any:
        connection = kind(*place, **options)
        self._connections.append(connection)
        return connection


class _Http(HTTPHandler):
    def __init__(self, connect: Callable[..., Any]) -> None:
        super().__init__()
        self._connect = connect

    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connect, http.client.HTTPConnection), req)


class _Https(HTTPSHandler):
    def __init__(self, connect: Callable[..., Any]) -> None:
        super().__init__()
        self._connect = connect

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        connect = partial(self._connect, http.client.HTTPSConnection)
        return self.do_open(connect, req, context=ssl.create_default_context())


def _reason(error: Exception) -> str:
    """Return what an operator can act on, in one line."""
    match error:
        case URLError(reason=Exception() as cause):
            return _reason(cause)
        case TimeoutError():
            return _TOO_SLOW
        case OSError() | ValueError() if str(error):
            return str(error).splitlines()[0]
        case _:
            return type(error).__name__
