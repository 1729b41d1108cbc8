"""A subclass of python-engineio's server with lightweight sessions."""

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

import engineio
from engineio.exceptions import QueueEmpty
from engineio.packet import OPEN
from engineio.packet import Packet as EnginePacket

from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.environ import (
    BodyTooLongError,
    allowed_origins,
    build_environ,
    is_allowed_origin,
    opens_over_websocket,
    request_problem,
)
from socketio_app.adapters.engineio.handshake_limit import client_network
from socketio_app.adapters.engineio.handshake_log import HandshakeLog
from socketio_app.adapters.engineio.responses import Response, make_response
from socketio_app.adapters.engineio.server_shutdown import ShutdownNotice
from socketio_app.adapters.engineio.session import EngineSession, Receiver
from socketio_app.adapters.websocket.close_reasons import TRANSPORT_ERROR

log = logging.getLogger("socketio_app.socketio")


class EngineServer(engineio.AsyncServer):
    """Engine.IO server: answers requests and opens sessions.

    Args:
        context: state shared by the sessions.
        new_session_id: returns a new session id.
        open_receiver: creates the receiver of a new session from the request's environ.
        rejection_of: returns the response that rejects a handshake from an address, or `None`.
        on_shutdown: called when uvicorn shuts down, if it has served an HTTP request.
        cors_origins: allowed origins; `None`: only the server's own.
        allows_jsonp: whether responses may be scripts. Any website can include these with its
            visitors' cookies, and read the id of the session.
    """

    def __init__(
        self,
        context: SessionContext,
        *,
        new_session_id: Callable[[], str],
        open_receiver: Callable[[EngineSession, dict[str, Any]], Receiver],
        rejection_of: Callable[[str | None], Response | None],
        on_shutdown: Callable[[], None],
        cors_origins: Sequence[str] | None,
        allows_jsonp: bool,
    ) -> None:
        allows_any_origin = cors_origins is not None and "*" in cors_origins
        super().__init__(
            async_mode="asgi",
            logger=False,
            max_http_buffer_size=context.max_message_bytes,
            ping_interval=context.heartbeat.interval_seconds,
            ping_timeout=context.heartbeat.timeout_seconds,
            cors_allowed_origins="*" if allows_any_origin else cors_origins,
            # The chat uses no cookies, but proxies may; they are allowed for named origins only.
            cors_credentials=not allows_any_origin,
            # Compressing a polling response would block the event loop.
            http_compression=False,
        )
        self.start_service_task = False
        self._async = {
            **self._async,
            "translate_request": _unchanged,
            "make_response": make_response,
        }
        self.context = context
        self.sockets = context.sessions
        self._named_origins = cors_origins
        self._allows_jsonp = allows_jsonp
        self._rejection_of = rejection_of
        self.generate_id = new_session_id  # type: ignore[method-assign]
        self._open_receiver = open_receiver
        self._handshake_log = HandshakeLog()
        self._open_rests: dict[str, str] = {}
        """The OPEN packets of each transport, after the session's id."""
        self.shutdown_notice = ShutdownNotice(on_shutdown)

    def _log_error_once(self, message: str, message_key: str) -> None:
        """Log rejected origins.

        Other invalid requests are routine, and python-engineio's own log lines contain session ids.
        """
        if message_key == "bad-origin":
            self._handshake_log.origin_rejected(message)

    async def handle_request(self, *request: Any) -> object:
        """Answer a request or serve a WebSocket, given ASGI's scope, receive and send."""
        environ = await build_environ(*request)
        if environ is None:
            return None
        if opens_over_websocket(environ) and is_allowed_origin(environ, self._named_origins):
            # What python-engineio does after parsing the query and checking the origin.
            answer = await self._handle_connect(environ, "websocket")
            is_rejection = isinstance(answer, dict)
            return await self._make_response(answer, environ) if is_rejection else answer
        if environ["asgi.scope"]["type"] == "http":
            self.shutdown_notice.watch(environ["asgi.receive"])
        problem = request_problem(environ)
        if problem is not None:
            return await self._make_response(self._bad_request(problem), environ)
        sid = self._sid_with_leftovers(environ)
        if sid is not None:
            return await self._make_response(
                await self._answer_closed_session(sid, environ), environ
            )
        return await super().handle_request(environ)

    def _sid_with_leftovers(self, environ: dict[str, Any]) -> str | None:
        """Return the id of a polling request's session if it is closed and has packets left."""
        if not self.context.remaining_packets or environ["REQUEST_METHOD"] not in {"GET", "POST"}:
            return None
        sid = parse_qs(environ["QUERY_STRING"]).get("sid", [""])[0]
        if sid not in self.context.remaining_packets or environ["asgi.scope"]["type"] != "http":
            return None
        return sid if is_allowed_origin(environ, self._named_origins) else None

    async def _answer_closed_session(self, sid: str, environ: dict[str, Any]) -> dict[str, Any]:
        """Answer a poll with the packets its session has left; discard what the client sends."""
        if environ["REQUEST_METHOD"] == "GET":
            return self._ok(self.context.remaining_packets.take(sid))
        try:
            await environ["wsgi.input"].read(self.max_http_buffer_size)
        except BodyTooLongError:
            return self._bad_request()
        return self._ok()

    async def _handle_connect(
        self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None
    ) -> Any:
        """Open a session (Engine.IO protocol 4, "Handshake")."""
        if jsonp_index is not None and not self._allows_jsonp:
            return self._bad_request("JSONP is not supported")
        address = client_network(environ["asgi.scope"])
        rejection = self._rejection_of(address)
        if rejection is not None:
            return rejection
        sid = self.generate_id()
        session = self.context.sessions[sid] = EngineSession(self.context, sid, address)
        session.receiver = self._open_receiver(session, environ)
        try:
            opening = EnginePacket(OPEN, self._open_payload(sid, transport))
            session.schedule_ping()
            self.context.connect_timeout.add(session.time_out)
            if transport == "websocket":
                return await session.open_over_websocket(environ, opening)
            await session.send(opening)
            session.begin_polling()
            packets = await session.fetch(environ["asgi.receive"])
            return self._ok(packets, jsonp_index=jsonp_index)
        except QueueEmpty:
            session.close_now(TRANSPORT_ERROR)
            return self._bad_request()
        except BaseException:
            # The client closed the connection before the handshake was complete.
            session.close_now(TRANSPORT_ERROR)
            raise

    def _open_payload(self, sid: str, transport: str) -> str:
        """Return the JSON of an OPEN packet, of which only the session's id differs."""
        rest = self._open_rests.get(transport)
        if rest is None:
            fields = {
                "upgrades": self._upgrades(sid, transport),
                "pingInterval": round(self.ping_interval * 1000),
                "pingTimeout": round(self.ping_timeout * 1000),
                "maxPayload": self.max_http_buffer_size,
            }
            rest = self._open_rests[transport] = json.dumps(fields, separators=(",", ":"))[1:]
        return f'{{"sid":{json.dumps(sid)},{rest}'

    def _ok(
        self,
        packets: Sequence[Any] | None = None,
        headers: list[tuple[str, str]] | None = None,
        jsonp_index: int | None = None,
    ) -> dict[str, Any]:
        """Answer a poll with packets, or acknowledge a POST request ("Sending data")."""
        answer = super()._ok(packets, headers, jsonp_index)
        return answer if packets is not None else {**answer, "response": b"ok"}

    def _method_not_found(self) -> dict[str, Any]:
        """Answer a method other than GET and POST like any other invalid request."""
        return self._bad_request("Invalid method")

    def _cors_allowed_origins(self, environ: dict[str, Any]) -> list[str] | None:
        """Return the allowed origins, which always include the server's own."""
        return allowed_origins(environ, self._named_origins)


def _unchanged(environ: dict[str, Any]) -> dict[str, Any]:
    return environ
