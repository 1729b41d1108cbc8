"""Counting, draining and stopping of client sessions, for any protocol."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import attrs
from starlette.types import Receive, Scope, Send

from socketio_app.adapters.engineio.client_session import ClientSession
from socketio_app.adapters.engineio.drain import drain_all
from socketio_app.adapters.engineio.handshake_limit import HandshakeLimit
from socketio_app.adapters.engineio.handshake_log import HandshakeLog
from socketio_app.adapters.engineio.options import Options, new_session_id
from socketio_app.adapters.engineio.responses import (
    SHUTTING_DOWN,
    TOO_MANY_HANDSHAKES,
    Response,
)
from socketio_app.adapters.fanout.connect_limit import ConnectLimit
from socketio_app.adapters.fanout.dispatcher import CommandDispatcher
from socketio_app.adapters.fanout.encoding import Encoding
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.registry import ConnectionRegistry
from socketio_app.adapters.fanout.rejection_log import RejectionLog
from socketio_app.application.chat import Chat
from socketio_app.application.metrics import Metrics
from socketio_app.application.ports import TokenVerifier
from socketio_app.application.tracing import Tracing

log = logging.getLogger("socketio_app.socketio")


@attrs.define(eq=False, repr=False, slots=False)
class SessionServer:
    """A server of client sessions over one transport."""

    encoding: ClassVar[Encoding]
    """How the transport writes events."""
    chat: Chat
    hub: Hub
    verifier: TokenVerifier
    options: Options
    metrics: Metrics | None = None
    tracing: Tracing | None = None
    new_id: Callable[[], str] = new_session_id
    handle_request: Callable[[Scope, Receive, Send], Awaitable[object]] = attrs.field(init=False)
    """Answers an ASGI request, or serves a WebSocket."""

    def __attrs_post_init__(self) -> None:
        self.context = self.options.context(
            self.chat.delivery.confirm, self.metrics, is_traced=self.tracing is not None
        )
        rejections, limit = RejectionLog(), ConnectLimit(self.options.connects)
        self.registry = ConnectionRegistry(
            self.chat,
            self.hub,
            self.verifier,
            limit,
            rejections,
            self.encoding,
            self.new_id,
            self.metrics,
        )
        self.dispatcher = CommandDispatcher(self.chat, rejections, self.metrics, self.tracing)
        self._handshakes = HandshakeLimit(self.options.handshakes)
        self._handshake_log = HandshakeLog()
        self.cors_origins = self.options.cors_origins

    def rejection_of(self, address: str | None) -> Response | None:
        """Return the response that rejects a handshake from an address; `None` to accept it."""
        if self.context.is_draining:
            return SHUTTING_DOWN
        if self._handshakes.accepts(address):
            return None
        if self.context.metrics is not None:
            self.context.metrics.connections_refused["too_many_handshakes"] += 1
        return TOO_MANY_HANDSHAKES

    @property
    def sessions(self) -> Sequence[ClientSession]:
        """The open sessions."""
        return [*self.context.sessions.values()]

    @property
    def unread_bytes(self) -> int:
        """Size of the data queued for all clients, in bytes."""
        return sum(session.unread_bytes for session in self.context.sessions.values())

    def start(self) -> None:
        """Accept connections, initially or again after `stop`."""
        self.context.is_draining = False

    async def drain(self, seconds: float) -> None:
        """Reject new connections, and close existing ones so that clients reconnect elsewhere.

        Args:
            seconds: time over which connections are closed. They are served until then, and
                afterwards polling clients can fetch what is queued for them.
        """
        await self.close_sessions(seconds)
        await self.context.remaining_packets.fetched()

    async def close_sessions(self, seconds: float) -> None:
        """Reject new connections, and close existing ones over some seconds."""
        self.context.is_draining = True
        sessions = self.sessions
        await drain_all(sessions, seconds)
        if sessions:
            log.info("closed all connections", extra={"connections": len(sessions)})

    async def stop(self) -> None:
        """Close all connections immediately. Calling it twice is harmless."""
        await self.close_sessions(0)
        self.context.stop()
