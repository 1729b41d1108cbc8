"""python-engineio's server, with connections that cost little."""

import logging
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from typing import Any
from urllib.parse import parse_qs

import engineio
from engineio.exceptions import QueueEmpty
from engineio.packet import OPEN
from engineio.packet import Packet as EnginePacket

from socketio_app.adapters.engineio.confirmations import ConfirmationTimer
from socketio_app.adapters.engineio.connect_timeout import ConnectTimeout
from socketio_app.adapters.engineio.environ import (
    TooLongError,
    environ_of,
    own_origins,
    wrong_in,
)
from socketio_app.adapters.engineio.handshake_limit import LINES, HandshakeLimit, network_of
from socketio_app.adapters.engineio.heartbeat import Heartbeat
from socketio_app.adapters.engineio.leftovers import Leftovers
from socketio_app.adapters.engineio.responses import make_response
from socketio_app.adapters.engineio.server_shutdown import ShutdownNotice
from socketio_app.adapters.engineio.session import EngineSession
from socketio_app.domain.rates import RateLimiter

log = logging.getLogger("socketio_app.socketio")

_LONGEST_ORIGIN = 200

ELSEWHERE = {
    "status": "503 SERVICE UNAVAILABLE",
    "headers": [("Content-Type", "text/plain"), ("Connection", "close"), ("Retry-After", "1")],
    "response": b"The server is going away.",
}
"""The answer to a handshake while the server ends: over this connection, others do not come."""


TOO_MANY = {
    "status": "429 TOO MANY REQUESTS",
    "headers": [("Content-Type", "text/plain"), ("Connection", "close"), ("Retry-After", "1")],
    "response": b"Too many handshakes from this address.",
}
"""The answer to a handshake from an address that makes too many (RFC 6585, section 4)."""


class EngineServer(engineio.AsyncServer):
    """Makes `EngineSession`s, and asks all of them by one timer whether they are there."""

    max_unread_bytes: int
    ephemeral_unread_bytes: int
    handshakes: HandshakeLimit
    runs_outside_tasks: bool
    on_too_many: Callable[[], None]
    """Called when a handshake is refused, as its address makes too many."""
    on_received: Callable[[Sequence[Any]], None]
    """Called with receipts that a client has confirmed."""
    shutdown_notice: ShutdownNotice
    """Notices when the server that polls come from shuts down."""
    handle_text: Callable[[str, bytes], Coroutine[Any, Any, object]]
    handle_binary: Callable[[str, bytes], Coroutine[Any, Any, None]]
    handle_ignored: Callable[[str, int], None]
    is_draining: bool
    """Whether new connections are sent elsewhere."""
    dropped_frames: int
    """How many frames were dropped, as their clients did not read."""

    def __init__(self, **options: Any) -> None:
        # To compress what a client polls would hold up everybody else.
        super().__init__(**options, http_compression=False)
        self.start_service_task = False
        drivers = {"translate_request": _as_it_is, "make_response": make_response}
        self._async = {**self._async, **drivers}
        self.pings = Heartbeat(self.ping_interval, self.ping_timeout)
        self.confirmations = ConfirmationTimer()
        self.connect_timeout = ConnectTimeout()
        self.leftovers = Leftovers()
        self.reasons_of_clients = frozenset(
            [
                self.reason.CLIENT_DISCONNECT,
                self.reason.PING_TIMEOUT,
                self.reason.TRANSPORT_CLOSE,
                self.reason.TRANSPORT_ERROR,
            ]
        )
        """Reasons after which nobody fetches what is left of a session."""
        self._lines = RateLimiter(LINES)
        self._has_said_plain = False
        self.is_draining = False
        self.dropped_frames = 0

    def create_queue(self) -> None:
        """Make none: an `EngineSession` has what it needs."""

    def say_plain(self) -> None:
        """Say, once, that WebSockets come the plain way."""
        if not self._has_said_plain:
            self._has_said_plain = True
            log.info(
                "WebSockets come by way of the ASGI server's own handling, which is several times "
                "slower than uvicorn with TakeoverProtocol (docs/configuration.md)"
            )

    def _log_error_once(self, message: str, message_key: str) -> None:
        """Say what an operator may have to set right, now and then; requests are refused all day.

        python-engineio's own lines name sessions.
        """
        if message_key == "bad-origin" and not self._lines.admit(message_key, monotonic()):
            log.warning("refused a web origin: %s", message[:_LONGEST_ORIGIN])

    async def handle_request(self, *request: Any) -> object:
        """Answer a request, or serve a WebSocket: ASGI's scope, receive and send."""
        environ = await environ_of(*request)
        if environ is None:
            return None
        if environ["asgi.scope"]["type"] == "http":
            self.shutdown_notice.watch(environ["asgi.receive"])
        wrong = wrong_in(environ)
        if wrong is not None:
            return await self._make_response(self._bad_request(wrong), environ)
        sid = self._sid_with_leftovers(environ)
        if sid is not None:
            return await self._make_response(
                await self._answer_after_the_end(sid, environ), environ
            )
        return await super().handle_request(environ)

    def _sid_with_leftovers(self, environ: dict[str, Any]) -> str | None:
        """The session of a polling request, where it has ended and something is left of it."""
        if not self.leftovers or environ["REQUEST_METHOD"] not in {"GET", "POST"}:
            return None
        sid = parse_qs(environ["QUERY_STRING"]).get("sid", [""])[0]
        if sid not in self.leftovers or environ["asgi.scope"]["type"] != "http":
            return None
        origin, allowed = environ.get("HTTP_ORIGIN"), self._cors_allowed_origins(environ)
        return sid if not origin or allowed is None or origin in allowed else None

    async def _answer_after_the_end(self, sid: str, environ: dict[str, Any]) -> dict[str, Any]:
        """Give a poll what is left of its session; discard what a client sends."""
        if environ["REQUEST_METHOD"] == "GET":
            return self._ok(self.leftovers.take(sid))
        try:
            await environ["wsgi.input"].read(self.max_http_buffer_size)
        except TooLongError:
            return self._bad_request()
        return self._ok()

    async def _handle_connect(
        self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None
    ) -> Any:
        """Open a connection (Engine.IO protocol 4, "Handshake")."""
        if self.is_draining:
            return ELSEWHERE
        client = environ["asgi.scope"].get("client")
        address = network_of(client[0]) if client else None
        if not self.handshakes.accepts(address):
            self.on_too_many()
            return TOO_MANY
        sid = self.generate_id()
        connection = self.sockets[sid] = EngineSession(self, sid, address)
        try:
            handshake = {
                "sid": sid,
                "upgrades": self._upgrades(sid, transport),
                "pingInterval": round(self.ping_interval * 1000),
                "pingTimeout": round(self.ping_timeout * 1000),
                "maxPayload": self.max_http_buffer_size,
            }
            await connection.send(EnginePacket(OPEN, handshake))
            await self._trigger_event("connect", sid, environ, run_async=False)
            connection.schedule_ping()
            self.connect_timeout.add(connection.time_out)
            if transport == "websocket":
                return await connection.handle_get_request(environ)
            connection.connected = True
            packets = await connection.fetch(environ["asgi.receive"])
            return self._ok(packets, jsonp_index=jsonp_index)
        except QueueEmpty:
            await connection.close(abort=True, reason=self.reason.TRANSPORT_ERROR)
            return self._bad_request()
        except BaseException:
            # The client has gone in the middle of it.
            await connection.close(abort=True, reason=self.reason.TRANSPORT_ERROR)
            raise

    def _ok(
        self,
        packets: Sequence[Any] | None = None,
        headers: list[tuple[str, str]] | None = None,
        jsonp_index: int | None = None,
    ) -> dict[str, Any]:
        """Answer a poll with packets, or say that what was sent has come ("Sending data")."""
        answer = super()._ok(packets, headers, jsonp_index)
        return answer if packets is not None else {**answer, "response": b"ok"}

    def refuse_probe(self) -> dict[str, Any]:
        """Return the answer to an upgrade while another is under way, or after too many."""
        answer: dict[str, Any] = self._bad_request("An upgrade is under way, or too many failed")
        return answer

    def _method_not_found(self) -> dict[str, Any]:
        """Answer a method that is neither GET nor POST, as any other wrong request."""
        return self._bad_request("Invalid method")

    def _cors_allowed_origins(self, environ: dict[str, Any]) -> list[str] | None:
        """The web origins that may connect from here, the server's own always among them."""
        named = super()._cors_allowed_origins(environ)
        return None if named is None else [*named, *own_origins(environ)]


def _as_it_is(environ: dict[str, Any]) -> dict[str, Any]:
    return environ
