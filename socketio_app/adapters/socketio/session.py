"""A Socket.IO session: from packets to commands (Socket.IO protocol 5).

It differs from python-socketio's server where the chat guarantees more:

- The packets of a session are handled one after the other.
- Every event is a command; python-socketio treats an event named `connect` as a new connection.
- A client that disconnects while it is being authenticated leaves no state behind.
- A malformed packet closes its session; an invalid payload does not.
"""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
from socketio import packet as kinds

from socketio_app.adapters.engineio.connect_timeout import ConnectTimeout
from socketio_app.adapters.engineio.environ import extract_token
from socketio_app.adapters.engineio.session import EngineSession
from socketio_app.adapters.engineio.state import following
from socketio_app.adapters.fanout.dispatcher import CommandDispatcher
from socketio_app.adapters.fanout.registry import (
    Connection,
    ConnectionRegistry,
    ConnectRejectedError,
)
from socketio_app.adapters.socketio.attachments import PendingEvent
from socketio_app.adapters.socketio.encoding import encode_event
from socketio_app.adapters.socketio.events import (
    CommandEvent,
    event_in,
    event_of,
    may_be_send,
    plain_event_of,
)
from socketio_app.adapters.socketio.packets import (
    NAMESPACE,
    MalformedPacketError,
    auth_of,
    connect_error_frame,
    connect_frame,
    packet_of,
)
from socketio_app.adapters.socketio.state import TRANSITIONS, State
from socketio_app.adapters.websocket.close_reasons import CLIENT_DISCONNECT, MALFORMED
from socketio_app.adapters.websocket.handling import InTask, Work
from socketio_app.adapters.wire import outgoing
from socketio_app.application.opening import Opening

log = logging.getLogger("socketio_app.socketio")

MAX_REJECTED_CONNECTS = 10
"""Maximum number of rejected CONNECT packets per session. Each costs a token verification."""

MAX_IGNORED_PACKETS = 100
"""Maximum number of packets dropped unread per session before authentication."""

_NO_ENVIRON: Final[Mapping[str, Any]] = MappingProxyType({})


@attrs.frozen
class Services:
    """Objects shared by all sessions of a server."""

    registry: ConnectionRegistry
    dispatcher: CommandDispatcher
    connect_timeout: ConnectTimeout


class Session:
    """The Socket.IO session over an Engine.IO session. Implements `Receiver`.

    Args:
        services: shared by all sessions of a server.
        engine: the Engine.IO session.
        environ: the request that opened the session.
    """

    __slots__ = (
        "_connection",
        "_engine",
        "_environ",
        "_has_tried",
        "_ignored_packets",
        "_pending_event",
        "_rejected_connects",
        "_services",
        "state",
    )

    def __init__(
        self, services: Services, engine: EngineSession, environ: Mapping[str, Any]
    ) -> None:
        self._services = services
        self._engine = engine
        self._environ = environ
        self.state = State.NEW
        self._connection: Connection | None = None
        self._pending_event: PendingEvent | None = None
        self._has_tried = False
        self._rejected_connects = 0
        self._ignored_packets = 0

    def _enter(self, state: State) -> None:
        self.state = following(TRANSITIONS, self.state, state)

    # From the client.

    def receive_text(self, data: bytes) -> Work:
        """Handle an Engine.IO message, usually an event without attachments."""
        connection = self._connection
        if connection is not None and self._pending_event is None:
            event = plain_event_of(data)
            if event is not None:
                dispatcher = self._services.dispatcher
                return dispatcher.dispatch(connection.actor, connection.subscriber, event)
        return InTask(self._receive_packet(data[1:]))

    def begin_send(self, data: bytes, on_done: Callable[[], None]) -> bool:
        """See `Receiver.begin_send`."""
        connection = self._connection
        if connection is None or self._pending_event is not None or not may_be_send(data):
            return False
        event = plain_event_of(data)
        if event is None:
            return False
        dispatcher = self._services.dispatcher
        return dispatcher.begin_send(connection.actor, connection.subscriber, event, on_done)

    def receive_binary(self, data: bytes) -> Work:
        """Drop a binary attachment. After the last one, handle its event."""
        return InTask(self._receive_attachment(data))

    async def _receive_attachment(self, data: bytes) -> None:
        if self._pending_event is None:
            self._end_malformed("unexpected binary frame")
            return
        event = self._pending_event.drop(len(data))
        if event is not None:
            self._pending_event = None
            await self._dispatch(event)

    def ignore(self, count: int, size: int = 0) -> None:
        """Count packets that are not commands; disconnect a client that sends too many."""
        if self._connection is not None:
            actor, subscriber = self._connection.actor, self._connection.subscriber
            self._services.dispatcher.count_ignored(actor, subscriber, count, size)
            return
        self._ignored_packets += count
        if self._ignored_packets > MAX_IGNORED_PACKETS:
            log.info("connection closed: too many packets before authentication")
            self._engine.dismiss(MALFORMED)

    async def _receive_packet(self, encoded: bytes) -> None:
        try:
            await self._handle_packet(encoded)
        except MalformedPacketError as error:
            self._end_malformed(str(error))

    def _end_malformed(self, reason: str) -> None:
        log.info("connection closed: %s", reason)
        self._engine.close_with_packet(MALFORMED)

    async def _handle_packet(self, encoded: bytes) -> None:
        if self.state is not State.CONNECTED and not encoded.startswith(b"0"):
            self._ignore_unauthenticated()
            return
        if self._pending_event is not None:
            raise MalformedPacketError("expected a binary attachment")
        packet = packet_of(encoded)
        match packet.kind:
            case kinds.CONNECT:
                await self._handle_connect(packet.namespace, auth_of(packet.data))
            case kinds.DISCONNECT:
                if packet.is_to_chat:
                    self._handle_disconnect()
            case kinds.EVENT:
                await self._dispatch(event_in(packet, event_of))
            case kinds.BINARY_EVENT:
                self._pending_event = PendingEvent.of(packet)
            case kinds.ACK | kinds.BINARY_ACK:
                self.ignore(1, len(encoded))
            case _:
                raise MalformedPacketError("unknown packet type")

    async def _dispatch(self, event: CommandEvent) -> None:
        if self._connection is not None:
            actor, subscriber = self._connection.actor, self._connection.subscriber
            await self._services.dispatcher.dispatch(actor, subscriber, event)

    def _ignore_unauthenticated(self) -> None:
        """Drop a packet of a client whose CONNECT was rejected.

        Raises:
            MalformedPacketError: the client has not sent a CONNECT yet (Socket.IO protocol 5,
                "Connection to a namespace").
        """
        if self.state is State.NEW:
            raise MalformedPacketError("packet before CONNECT")
        self.ignore(1)

    # CONNECT.

    async def _handle_connect(self, namespace: str | None, auth: object) -> None:
        if namespace not in {None, NAMESPACE}:
            self._reject({"message": "Invalid namespace"}, namespace)
            return
        if self.state is State.CONNECTED:
            raise MalformedPacketError("second CONNECT")
        self._enter(State.CONNECTING)
        is_first, self._has_tried = not self._has_tried, True
        try:
            connection, opening = await self._services.registry.connect(
                self._engine,
                lambda: extract_token(auth, self._environ),
                self._environ.get("asgi.scope"),
                is_first=is_first,
            )
        except ConnectRejectedError as rejected:
            if self.state is not State.CLOSED:
                self._reject({"message": rejected.error["message"], "data": rejected.error}, None)
        except BaseException:
            if self.state is State.CONNECTING:
                self._enter(State.REJECTED)
            raise
        else:
            self._open(connection, opening)

    def _open(self, connection: Connection, opening: Opening) -> None:
        if self.state is State.CLOSED:  # the client has disconnected meanwhile
            self._services.registry.abandon(connection)
            return
        self._enter(State.CONNECTED)
        self._connection = connection
        # The request's headers take kilobytes and are no longer needed.
        self._environ = _NO_ENVIRON
        self._services.connect_timeout.discard(self._engine.time_out)
        self._engine.write(connect_frame(connection.subscriber.connection_id))
        greeting = encode_event(opening.connected)
        self._services.registry.open(self._engine, connection, opening, greeting)

    def _reject(self, error: outgoing.Payload, namespace: str | None) -> None:
        """Reject a CONNECT.

        Raises:
            MalformedPacketError: too many CONNECT packets were rejected.
        """
        self._engine.write(connect_error_frame(error, namespace))
        if self.state is not State.CONNECTED:
            self._enter(State.REJECTED)
        self._rejected_connects += 1
        if self._rejected_connects > MAX_REJECTED_CONNECTS:
            raise MalformedPacketError("too many rejected CONNECT packets")

    # Closing.

    def _handle_disconnect(self) -> None:
        """Close the connection. The client may connect again over the session before a time-out."""
        self._leave(CLIENT_DISCONNECT)
        self._enter(State.REJECTED if self._rejected_connects else State.NEW)
        self._services.connect_timeout.add(self._engine.time_out)

    def closed(self, reason: str) -> None:
        """Clean up after the Engine.IO session has ended."""
        if self.state is State.CONNECTED:
            self._leave(reason)
        self._enter(State.CLOSED)
        self._environ = _NO_ENVIRON

    def _leave(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        self._pending_event = None
        if connection is not None:
            self._services.registry.close(connection, reason)
