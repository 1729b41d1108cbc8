"""A client's session over a plain WebSocket: from frames to commands."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.types import Scope

from socketio_app.adapters.engineio.client_session import ClientSession
from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.state import State
from socketio_app.adapters.engineio.websocket_transport import MessageTransport
from socketio_app.adapters.fanout.dispatcher import CommandDispatcher
from socketio_app.adapters.fanout.registry import (
    Connection,
    ConnectionRegistry,
    ConnectRejectedError,
)
from socketio_app.adapters.jsonsocket.codec import (
    CONNECT,
    Envelope,
    JsonRequest,
    envelope_of,
    greeting,
    named_event_frame,
    token_in,
)
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.close_reasons import MALFORMED
from socketio_app.adapters.websocket.handling import InTask, Work
from socketio_app.adapters.websocket.interface import Message, WebSocket
from socketio_app.adapters.wire import outgoing
from socketio_app.domain.errors import ChatError, InvalidPayload, Unauthenticated

log = logging.getLogger("socketio_app.socketio")

MAX_REJECTED: Final = 10
"""Maximum number of rejections before a client is authenticated."""

MAX_IGNORED: Final = 100
"""Maximum number of control frames before a client is authenticated."""

_SEND: Final = b'"send_'
"""Part of every command that sends a message, written in the usual way."""

_PING: Final = frames.frame(frames.PING, frames.PING_PAYLOAD)


class JsonTransport(MessageTransport):
    """A WebSocket whose heartbeat uses the protocol's own pings (RFC 6455, section 5.5.2)."""

    __slots__ = ()

    def pongs_received(self, count: int) -> None:
        """See `FrameHandler.pongs_received`."""
        self._session.note_pongs(count)

    def write_ping(self) -> None:
        """See `Transport.write_ping`."""
        self.write(_PING)


class JsonSession(ClientSession):
    """A client's session over a plain WebSocket.

    Args:
        registry, dispatcher, context: shared by all sessions of a server.
        sid: the session's id.
        address: the client's address; `None` if unknown.
        websocket: an accepted WebSocket that can send pings. It is to be handed to `transport`.
        scope: the handshake's, if the verifier needs it.
    """

    __slots__ = (
        "_connection",
        "_dispatcher",
        "_has_tried",
        "_ignored",
        "_registry",
        "_rejected",
        "_scope",
    )

    transport: JsonTransport

    def __init__(
        self,
        registry: ConnectionRegistry,
        dispatcher: CommandDispatcher,
        context: SessionContext,
        sid: str,
        address: str | None,
        websocket: WebSocket,
        scope: Scope | None = None,
    ) -> None:
        super().__init__(context, sid, address)
        self._scope = scope
        self._registry = registry
        self._dispatcher = dispatcher
        self._connection: Connection | None = None
        self._has_tried = False
        self._rejected = self._ignored = 0
        self._enter(State.WEBSOCKET)
        self.transport = JsonTransport(self, websocket)

    def receiver_closed(self, reason: str) -> None:
        """See `ClientSession.receiver_closed`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._registry.close(connection, reason)

    def receiver_ignored(self, count: int) -> None:
        """See `ClientSession.receiver_ignored`."""
        if self._connection is not None:
            actor, subscriber = self._connection.actor, self._connection.subscriber
            self._dispatcher.count_ignored(actor, subscriber, count)
            return
        self._ignored += count
        if self._ignored > MAX_IGNORED:
            log.info("connection closed: too many control frames before authentication")
            self.dismiss(MALFORMED)

    def _count_rejected(self) -> None:
        self._rejected += 1
        if self._rejected > MAX_REJECTED:
            log.info("connection closed: too many rejections before authentication")
            self.dismiss(MALFORMED)

    # From the client.

    def receive(self, message: Message) -> Work | None:
        """See `ClientSession.receive`."""
        opcode, text = message
        if self.is_closing:
            return None
        if opcode != frames.TEXT:
            return self._reject(None, InvalidPayload("frames must be text"))
        try:
            envelope = envelope_of(text)
        except InvalidPayload as error:
            return self._reject(None, error)
        if envelope.command == CONNECT:
            return InTask(self._handle_connect(envelope))
        if self._connection is None:
            return self._reject(
                envelope, Unauthenticated("not connected: send connect first", reason="no token")
            )
        request = JsonRequest(envelope, len(text))
        actor, subscriber = self._connection.actor, self._connection.subscriber
        return self._dispatcher.dispatch(actor, subscriber, request)

    def begin_grouped(self, message: Message, on_done: Callable[[], None], /) -> bool:
        """See `ClientSession.begin_grouped`."""
        opcode, text = message
        connection = self._connection
        if self.is_closing or connection is None or opcode != frames.TEXT or _SEND not in text:
            return False
        try:
            request = JsonRequest(envelope_of(text), len(text))
        except InvalidPayload:
            return False
        return self._dispatcher.begin_send(
            connection.actor, connection.subscriber, request, on_done
        )

    async def _reject(self, envelope: Envelope | None, error: ChatError) -> None:
        self._write_error(envelope, outgoing.error_payload(error))
        if self._connection is not None:
            self.receiver_ignored(1)
        else:
            self._count_rejected()

    def _write_error(self, envelope: Envelope | None, error: outgoing.Payload) -> None:
        if envelope is None:
            self.write(named_event_frame("error", error))
        else:
            self.write(JsonRequest(envelope, 0).error_frame(error))

    # Authentication.

    async def _handle_connect(self, envelope: Envelope) -> None:
        if self._connection is not None:
            await self._reject(envelope, InvalidPayload("the client is already connected"))
            return
        is_first, self._has_tried = not self._has_tried, True
        try:
            connection, opening = await self._registry.connect(
                self, partial(token_in, envelope), self._scope, is_first=is_first
            )
        except ConnectRejectedError as rejected:
            self._write_error(envelope, rejected.error)
            self._count_rejected()
            return
        if self.closed:  # the client has disconnected meanwhile
            self._registry.abandon(connection)
            return
        self._connection = connection
        self._scope = None
        self.context.connect_timeout.discard(self.time_out)
        first = greeting(opening.connected, envelope.id)
        self._registry.open(self, connection, opening, first)
