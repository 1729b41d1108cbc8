"""The chat's Socket.IO server: connections come and go, wire events become commands.

It is python-socketio's server with these differences, each because the chat promises more:

- A connection's packets are handled one after the other, and it leaves after the last of them.
- Every event goes to the chat. python-socketio would take an event that is called `connect` for a
  connection.
- A connection that is gone when it has been let in is taken out again; python-socketio keeps it.
- A packet that is not Socket.IO ends its connection; one that is, but carries nonsense, does not.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from time import monotonic
from typing import Any

import attrs
import engineio
import socketio
from engineio.async_socket import AsyncSocket
from socketio import packet as kinds

from socketio_app.adapters.compatibility import check_engine
from socketio_app.adapters.engineio.drain import drain_all
from socketio_app.adapters.engineio.environ import token_of
from socketio_app.adapters.engineio.handshake_limit import HandshakeLimit
from socketio_app.adapters.engineio.server import EngineServer
from socketio_app.adapters.engineio.server_shutdown import ShutdownNotice
from socketio_app.adapters.engineio.session import EngineSession
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.pushing import push
from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.socketio.attachments import Attachments
from socketio_app.adapters.socketio.connect_limit import ConnectLimit, ConnectRates
from socketio_app.adapters.socketio.dispatcher import CommandDispatcher, new_error_id
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING
from socketio_app.adapters.socketio.events import (
    CommandEvent,
    event_in,
    event_of,
    plain_event_of,
)
from socketio_app.adapters.socketio.manager import SessionManager
from socketio_app.adapters.socketio.packets import (
    MalformedPacketError,
    Packet,
    auth_of,
    packet_of,
)
from socketio_app.adapters.socketio.refusal_log import RefusalLog
from socketio_app.adapters.websocket.close_reasons import MALFORMED
from socketio_app.adapters.wire import outgoing
from socketio_app.application.cancellation import start_task
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor
from socketio_app.application.metrics import Metrics
from socketio_app.application.opening import Opening
from socketio_app.application.ports import TokenVerifier
from socketio_app.application.tracing import Tracing
from socketio_app.domain.errors import ChatError
from socketio_app.domain.identifiers import ConnectionId
from socketio_app.domain.rates import Rate

log = logging.getLogger("socketio_app.socketio")

NAMESPACE = "/"

MAX_REFUSED_CONNECTS = 10
"""So often a client may ask to be let in over one connection; each costs a check of a token."""

MAX_IGNORED_PACKETS = 100
"""Packets of a client that was refused, which are dropped unread; after these its connection is
closed. Clients send some behind their CONNECT."""


@attrs.frozen
class Options:
    """How the server speaks to the network."""

    cors_origins: Sequence[str] | None = None
    """The web origins that may connect; `None`: only the server's own; `["*"]`: all."""
    max_frame_bytes: int = 65536
    ping_interval_seconds: float = 25
    ping_timeout_seconds: float = 20
    max_unread_bytes: int = 1_048_576
    """How much may wait for a client that does not read; then its connection is cut."""
    ephemeral_unread_bytes: int = 65_536
    """From how much on such a client is not told any more who is typing."""
    connect_seconds: float = 20
    """How long a client may take until it is let in; 0: as long as it likes."""
    handshakes: Rate | None = None
    """How often one address may open a connection; `None`: as often as it likes."""
    connects: ConnectRates = ConnectRates()
    """How often clients may connect to the namespace."""
    runs_outside_tasks: bool = False
    """Whether a command may begin outside a task: not with a store that asks which task it is in,
    as database drivers do for their timeouts."""


@attrs.define(eq=False)
class Connection:
    """A connection whose token was verified."""

    actor: Actor
    subscriber: Subscriber
    opening: Opening | None
    """What to hand over first; `None` once it has been."""
    pushing: asyncio.Task[None] | None = None
    """Sends what the user has missed and did not fit the first batch."""
    since: float = attrs.field(factory=monotonic)
    """When its token was verified."""


class ChatServer(socketio.AsyncServer):
    """Serves the chat on Socket.IO's namespace `/`."""

    def __init__(
        self,
        chat: Chat,
        hub: Hub,
        verifier: TokenVerifier,
        options: Options,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        check_engine(socketio.AsyncServer, socketio.AsyncManager, engineio.AsyncServer, AsyncSocket)
        origins = options.cors_origins
        anywhere = origins is not None and "*" in origins
        super().__init__(
            async_mode="asgi",
            serializer=Packet,
            cors_allowed_origins="*" if anywhere else origins,
            # Cookies are no part of the chat; they are for proxies, of origins that were named.
            cors_credentials=not anywhere,
            client_manager=SessionManager(),
            max_http_buffer_size=options.max_frame_bytes,
            ping_interval=options.ping_interval_seconds,
            ping_timeout=options.ping_timeout_seconds,
            logger=False,
            engineio_logger=False,
        )
        self.eio: EngineServer
        self.eio.max_unread_bytes = options.max_unread_bytes
        self.eio.ephemeral_unread_bytes = options.ephemeral_unread_bytes
        self.eio.handshakes = HandshakeLimit(options.handshakes)
        self.eio.on_too_many = self._note_too_many_handshakes
        self.eio.connect_timeout.seconds = options.connect_seconds
        self.eio.runs_outside_tasks = options.runs_outside_tasks and tracing is None
        self.eio.on_received = chat.delivery.received
        self.eio.shutdown_notice = ShutdownNotice(self._drain_soon)
        self.eio.handle_text = self._handle_text
        self.eio.handle_binary = self._handle_binary
        self.eio.handle_ignored = self._count_ignored
        self._chat = chat
        self._metrics = metrics
        self._refusals = RefusalLog()
        self._dispatcher = CommandDispatcher(chat, self._refusals, metrics, tracing)
        self._hub = hub
        self._verifier = verifier
        self._connects = ConnectLimit(options.connects)
        self._connections: dict[str, Connection] = {}
        self._draining: asyncio.Task[None] | None = None
        self._attachments = Attachments()
        self.on("connect", self._let_in)
        self.on("disconnect", self._let_out)

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    def start(self) -> None:
        """Take connections: from the beginning, and again after `stop`."""
        self.eio.is_draining = False
        self._draining = None

    async def drain(self, seconds: float) -> None:
        """Take no new connections, and let those that are there go, to another server.

        Args:
            seconds: over how long. Those who are still there are served, and those that poll can
                then fetch what they have not fetched.
        """
        await self._drain(seconds)
        await self.eio.leftovers.fetched()

    async def _drain(self, seconds: float) -> None:
        self.eio.is_draining = True
        sockets = list(self.eio.sockets.values())
        await drain_all(sockets, seconds)
        if sockets:
            log.info("closed all connections", extra={"connections": len(sockets)})

    def _drain_soon(self) -> None:
        """Close all connections: the server shuts down, and waits for polls."""
        self._draining = start_task(self._drain(0))

    async def stop(self) -> None:
        """Let every connection go at once. Doing it twice is harmless."""
        self.eio.shutdown_notice.leave()
        if self._draining is not None:
            await asyncio.wait([self._draining])
        await self._drain(0)
        self.eio.leftovers.stop()
        self.eio.pings.stop()
        self.eio.confirmations.stop()
        self.eio.connect_timeout.stop()

    @property
    def unread_bytes(self) -> int:
        """How much waits for clients that do not read, or have not asked yet."""
        return sum(socket.unread_bytes for socket in self.eio.sockets.values())

    @property
    def dropped_frames(self) -> int:
        """How many frames were dropped, as their clients did not read."""
        return self.eio.dropped_frames

    # A connection's beginning and end.

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        socket = self.eio.sockets.get(eio_sid)
        if socket is None or socket.closed:
            return
        if namespace not in {None, NAMESPACE}:
            error = {"message": "Invalid namespace"}
            refusal = Packet(kinds.CONNECT_ERROR, data=error, namespace=namespace)
            await self._send_packet(eio_sid, refusal)
            self._note_refused_connect(socket)
            return
        if eio_sid in self._connections:
            raise MalformedPacketError("a second connect")
        await super()._handle_connect(eio_sid, namespace, data)
        connection = self._connections.get(eio_sid)
        if connection is None or connection.opening is None:
            self._note_refused_connect(socket)
            return
        if socket.closed:
            await self._handle_disconnect(eio_sid, namespace, self.eio.reason.TRANSPORT_CLOSE)
            return
        self._open(socket, connection, connection.opening)

    async def _let_in(self, sid: str, environ: Mapping[str, Any], auth: object) -> None:
        eio_sid = self.manager.eio_sid_from_sid(sid, NAMESPACE)
        socket = None if eio_sid is None else self.eio.sockets.get(eio_sid)
        if eio_sid is None or socket is None:
            return
        try:
            is_first, socket.has_asked = not socket.has_asked, True
            self._connects.check(eio_sid, socket.address, is_first=is_first)
            identity = await self._verifier.verify(token_of(auth, environ))
            self._connects.check_user(identity.user_id)
            subscriber = Subscriber(ConnectionId(sid), identity.user_id, socket, SOCKETIO_ENCODING)
            socket.watch_direct(subscriber.set_direct)
            self._hub.attach(subscriber)
            try:
                opening = await self._chat.sessions.prepare(identity, subscriber.connection_id)
            except BaseException:
                self._hub.detach(subscriber)
                raise
        except ChatError as error:
            self._refusals.refused("refused", error, _source(socket))
            self._count_refusal(error.code)
            raise _refused(outgoing.refusal(error)) from None
        except Exception:
            error_id = new_error_id()
            fields = {"error_id": error_id}
            log.exception("fault %s while somebody connected", error_id, extra=fields)
            self._count_refusal("internal")
            raise _refused(outgoing.fault(error_id)) from None
        actor = Actor(identity.user_id, subscriber.connection_id)
        self._connections[eio_sid] = Connection(actor, subscriber, opening)
        # The request has said all that it had to say, and weighs kilobytes.
        if eio_sid in self.environ:
            self.environ[eio_sid] = {}

    def _note_refused_connect(self, socket: EngineSession) -> None:
        socket.refused_connects += 1
        if socket.refused_connects > MAX_REFUSED_CONNECTS:
            raise MalformedPacketError("connect after connect")

    def _open(self, socket: EngineSession, connection: Connection, opening: Opening) -> None:
        connection.opening = None
        subscriber = connection.subscriber
        self.eio.connect_timeout.discard(socket.time_out)
        subscriber.release(opening)
        self._chat.sessions.open(opening)
        if not opening.backlog.is_empty:
            pushing = push(socket, subscriber, self._chat.sessions, opening.backlog)
            connection.pushing = start_task(pushing)
        log.info("connected", extra=_fields(connection))
        if self._metrics is not None:
            self._metrics.opened += 1

    def _note_too_many_handshakes(self) -> None:
        if self._metrics is not None:
            self._metrics.refused["too_many_handshakes"] += 1

    def _count_refusal(self, code: str) -> None:
        if self._metrics is not None:
            self._metrics.refused[code] += 1

    async def _let_out(self, sid: str, reason: str) -> None:
        eio_sid = self.manager.eio_sid_from_sid(sid, NAMESPACE)
        connection = None if eio_sid is None else self._connections.pop(eio_sid, None)
        if eio_sid is None or connection is None:
            return
        if connection.pushing is not None:
            connection.pushing.cancel()
        self._attachments.forget(eio_sid)
        self._hub.detach(connection.subscriber)
        self._chat.sessions.close(connection.actor.user_id, connection.subscriber.connection_id)
        if connection.opening is None:
            self._note_end(connection, reason.replace(" ", "_"))

    def _note_end(self, connection: Connection, reason: str) -> None:
        duration = round(monotonic() - connection.since, 3)
        fields = {**_fields(connection), "reason": reason, "duration": duration}
        log.info("disconnected", extra=fields)
        if self._metrics is not None:
            self._metrics.closed[reason] += 1

    # Packets.

    def _handle_text(self, eio_sid: str, data: bytes) -> Coroutine[Any, Any, object]:
        """Take an Engine.IO message; most are plain events."""
        connection = self._connections.get(eio_sid)
        if connection is not None and eio_sid not in self._attachments:
            event = plain_event_of(data)
            if event is not None:
                return self._dispatcher.run(connection.actor, connection.subscriber, event)
        return self._handle_other_text(eio_sid, data)

    async def _handle_other_text(self, eio_sid: str, data: bytes) -> None:
        try:
            await self._handle_packet(eio_sid, data[1:])
        except MalformedPacketError as error:
            await self._end_malformed(eio_sid, str(error))

    async def _handle_binary(self, eio_sid: str, data: bytes) -> None:
        if eio_sid in self._attachments:
            event = self._attachments.drop(eio_sid, len(data))
            if event is not None:
                await self._handle_command(eio_sid, event)
        else:
            await self._end_malformed(eio_sid, "a binary frame that belongs to nothing")

    async def _end_malformed(self, eio_sid: str, sent: str) -> None:
        log.info("closed a connection that sent %s", sent)
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:
            await socket.close(reason=MALFORMED)

    async def _handle_packet(self, eio_sid: str, encoded: bytes) -> None:
        if not encoded.startswith(b"0") and self._is_ignored(eio_sid):
            return
        if eio_sid in self._attachments:
            raise MalformedPacketError("something else than the binary attachment announced")
        packet = packet_of(encoded)
        match packet.kind:
            case kinds.CONNECT:
                await self._handle_connect(eio_sid, packet.namespace, auth_of(packet.data))
            case kinds.DISCONNECT:
                await self._handle_goodbye(eio_sid, packet.namespace)
            case kinds.EVENT:
                await self._handle_command(eio_sid, event_in(packet, event_of))
            case kinds.BINARY_EVENT:
                self._attachments.announce(eio_sid, packet)
            case kinds.ACK | kinds.BINARY_ACK:
                self._count_ignored(eio_sid, size=len(encoded))
            case _:
                raise MalformedPacketError("a packet of no known type")

    async def _handle_goodbye(self, eio_sid: str, namespace: str | None) -> None:
        """Let the user out. Their client may connect again over what is left, if it is soon."""
        was_in = eio_sid in self._connections
        await self._handle_disconnect(eio_sid, namespace)
        socket = self.eio.sockets.get(eio_sid)
        if was_in and socket is not None and eio_sid not in self._connections:
            self.eio.connect_timeout.add(socket.time_out)

    def _is_ignored(self, eio_sid: str) -> bool:
        """Whether the client is not authenticated, so that its packets are dropped unread.

        Raises:
            MalformedPacketError: the client has not asked to connect before (Socket.IO protocol 5,
                "Connection to a namespace").
        """
        if eio_sid in self._connections:
            return False
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and not socket.refused_connects:
            raise MalformedPacketError("something else before it had connected")
        self._count_ignored(eio_sid)
        return True

    def _count_ignored(self, eio_sid: str, count: int = 1, size: int = 0) -> None:
        """Count packets that are no command; close a connection that sends many of them."""
        connection = self._connections.get(eio_sid)
        if connection is not None:
            self._dispatcher.count_ignored(connection.actor, connection.subscriber, count, size)
            return
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:
            socket.ignored_packets += count
            if socket.ignored_packets > MAX_IGNORED_PACKETS:
                log.info("closed a connection that sent too much before it had connected")
                socket.dismiss(MALFORMED)

    async def _handle_command(self, eio_sid: str, event: CommandEvent) -> None:
        connection = self._connections.get(eio_sid)
        if connection is not None:  # else its token was not verified: it may not even be told so
            await self._dispatcher.run(connection.actor, connection.subscriber, event)


def _source(socket: EngineSession) -> dict[str, object]:
    """What a line of the log says of a client that is not authenticated."""
    return {"address": socket.address} if socket.address is not None else {}


def _fields(connection: Connection) -> dict[str, object]:
    """What a line of the log says of a connection."""
    return {
        "connection": connection.subscriber.connection_id,
        "user": connection.subscriber.user_id,
    }


def _refused(error: outgoing.Payload) -> socketio.exceptions.ConnectionRefusedError:
    return socketio.exceptions.ConnectionRefusedError(error["message"], error)
