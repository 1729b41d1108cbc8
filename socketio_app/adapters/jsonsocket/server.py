"""The chat's plain WebSocket server."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from socketio_app.adapters.engineio.environ import bearer_token, build_environ, is_allowed_origin
from socketio_app.adapters.engineio.handshake_limit import client_network
from socketio_app.adapters.engineio.responses import Response, rejection, respond
from socketio_app.adapters.engineio.session_server import SessionServer
from socketio_app.adapters.jsonsocket.codec import JSON_ENCODING, connect_message
from socketio_app.adapters.jsonsocket.session import JsonSession
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.interface import EXTENSION, Message, TakeoverWebSocket

log = logging.getLogger("socketio_app.socketio")

SUBPROTOCOL_PREFIX: Final = "bearer."
"""Prefix of the subprotocol that carries a token: browsers cannot set headers on WebSockets."""

WRONG_ORIGIN: Final = rejection(HTTPStatus.FORBIDDEN, "The origin is not allowed.")
NO_PINGS: Final = rejection(
    HTTPStatus.NOT_IMPLEMENTED,
    "The server cannot take over this WebSocket: it may support no pings, or compress frames.",
)


class JsonSocketServer(SessionServer):
    """Serves the chat as JSON over plain WebSockets."""

    encoding = JSON_ENCODING

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket."""
        environ = await build_environ(scope, receive, send)
        if environ is None:
            return
        address = client_network(scope)
        rejected = self._rejection(environ, address)
        if rejected is not None:
            await respond(rejected, environ)
            return
        protocol = _token_protocol(scope)
        await send({"type": "websocket.accept", "subprotocol": protocol})
        websocket: TakeoverWebSocket = scope["extensions"][EXTENSION]
        if not websocket.take_over(self.context.max_message_bytes):
            log.warning("connection closed: middleware has read from the WebSocket")
            await send({"type": "websocket.close", "code": frames.INTERNAL_ERROR})
            return
        kept = None if self.registry.request_verifier is None else scope
        self._serve(websocket, address, kept, _token_messages(protocol, environ))

    def _rejection(self, environ: Mapping[str, Any], address: str | None) -> Response | None:
        if not is_allowed_origin(environ, self.cors_origins):
            self._handshake_log.origin_rejected(str(environ["HTTP_ORIGIN"]))
            return WRONG_ORIGIN
        rejected = self.rejection_of(address)
        if rejected is None and EXTENSION not in (environ["asgi.scope"].get("extensions") or {}):
            self._handshake_log.takeover_missing()
            return NO_PINGS
        return rejected

    def _serve(
        self,
        websocket: TakeoverWebSocket,
        address: str | None,
        scope: Scope | None,
        received: Sequence[Message],
    ) -> None:
        """Open a session. `received` comes before everything that the client sends."""
        sid = self.new_id()
        session = JsonSession(
            self.registry, self.dispatcher, self.context, sid, address, websocket, scope
        )
        self.context.sessions[sid] = session
        session.schedule_ping()
        self.context.connect_timeout.add(session.time_out)
        session.transport.receive(received)
        websocket.set_handler(session.transport)


def _token_protocol(scope: Scope) -> str | None:
    """Return the subprotocol with the token. Browsers fail unless the server accepts it."""
    for protocol in scope.get("subprotocols") or ():
        if protocol.startswith(SUBPROTOCOL_PREFIX):
            return str(protocol)
    return None


def _token_messages(protocol: str | None, environ: Mapping[str, Any]) -> Sequence[Message]:
    """Return the `connect` with the token of the handshake, if it has one."""
    if protocol is not None:
        return [connect_message(protocol.removeprefix(SUBPROTOCOL_PREFIX))]
    if "HTTP_AUTHORIZATION" in environ:
        return [connect_message(bearer_token(environ))]
    return []
