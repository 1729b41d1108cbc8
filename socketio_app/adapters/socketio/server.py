"""The chat's Socket.IO server: connections come and go, wire events become commands.

It is python-socketio's server with these differences, each because the chat promises more:

- A connection's packets are handled one after the other, and it leaves after the last of them.
- Every event goes to the chat. python-socketio would take an event that is called `connect` for a
  connection.
- A connection that is gone when it has been let in is taken out again; python-socketio keeps it.
- A packet that is not Socket.IO ends its connection; one that is, but carries nonsense, does not.
"""

import logging
from collections.abc import Coroutine, Mapping, Sequence
from time import monotonic
from typing import Any

import attrs
import engineio
import socketio
from engineio.async_socket import AsyncSocket
from socketio import packet as kinds

from socketio_app.adapters.socketio.arrivals import HandshakeLimit
from socketio_app.adapters.socketio.compatibility import check_engine
from socketio_app.adapters.socketio.endings import MALFORMED
from socketio_app.adapters.socketio.engine import ChatEngine
from socketio_app.adapters.socketio.engine_socket import EngineSocket
from socketio_app.adapters.socketio.hub import Hub
from socketio_app.adapters.socketio.outlet import Outlet
from socketio_app.adapters.socketio.packets import (
    CommandEvent,
    MalformedPacketError,
    Packet,
    command_event,
    event_of,
    packet_of,
)
from socketio_app.adapters.socketio.refusal_log import RefusalLog, address_of
from socketio_app.adapters.socketio.requests import token_of
from socketio_app.adapters.socketio.retirement import retire_all
from socketio_app.adapters.socketio.runner import CommandRunner, new_error_id
from socketio_app.adapters.socketio.sessions import SessionTable
from socketio_app.adapters.socketio.wire import outgoing
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor
from socketio_app.application.handover import Opening
from socketio_app.application.measures import Measures
from socketio_app.application.ports import TokenVerifier
from socketio_app.application.tracing import Tracing
from socketio_app.domain.errors import ChatError
from socketio_app.domain.identifiers import ConnectionId
from socketio_app.domain.rates import Rate

log = logging.getLogger("socketio_app.socketio")

NAMESPACE = "/"

MOST_REFUSED_CONNECTS = 10
"""So often a client may ask to be let in over one connection; each costs a check of a token."""

MOST_ATTACHMENTS = 16
"""No command has binary content; so many attachments are read past before it is refused."""


@attrs.frozen
class Options:
    """How the server speaks to the network."""

    cors_origins: Sequence[str] | None = None
    """The web origins that may connect; `None`: only the server's own; `["*"]`: all."""
    max_frame_bytes: int = 65536
    ping_interval_seconds: float = 25
    ping_timeout_seconds: float = 20
    most_unread_bytes: int = 1_048_576
    """How much may wait for a client that does not read; then its connection is cut."""
    passing_unread_bytes: int = 65_536
    """From how much on such a client is not told any more who is typing."""
    connect_seconds: float = 20
    """How long a client may take until it is let in; 0: as long as it likes."""
    handshakes: Rate | None = None
    """How often one address may open a connection; `None`: as often as it likes."""
    begins_at_once: bool = False
    """Whether a command may begin outside a task: not with a store that asks which task it is in,
    as database drivers do for their timeouts."""


@attrs.define(eq=False)
class Connection:
    """A connection whose token was verified."""

    actor: Actor
    outlet: Outlet
    opening: Opening | None
    """What to hand over first; `None` once it has been."""
    since: float = attrs.field(factory=monotonic)
    """When its token was verified."""


@attrs.define
class Attachments:
    """An event whose binary attachments are being read past."""

    event: CommandEvent
    left: int


class ChatServer(socketio.AsyncServer):
    """Serves the chat on Socket.IO's namespace `/`."""

    def __init__(
        self,
        chat: Chat,
        hub: Hub,
        verifier: TokenVerifier,
        options: Options,
        measures: Measures | None = None,
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
            client_manager=SessionTable(),
            max_http_buffer_size=options.max_frame_bytes,
            ping_interval=options.ping_interval_seconds,
            ping_timeout=options.ping_timeout_seconds,
            logger=False,
            engineio_logger=False,
        )
        self.eio: ChatEngine
        self.eio.most_unread_bytes = options.most_unread_bytes
        self.eio.passing_unread_bytes = options.passing_unread_bytes
        self.eio.handshakes = HandshakeLimit(options.handshakes)
        self.eio.on_too_many = self._note_too_many_handshakes
        self.eio.arrivals.seconds = options.connect_seconds
        self.eio.begins_at_once = options.begins_at_once and tracing is None
        self.eio.handle_text = self._handle_text
        self.eio.handle_binary = self._handle_eio_message
        self._chat = chat
        self._measures = measures
        self._refusals = RefusalLog()
        self._runner = CommandRunner(chat, self._refusals, measures, tracing)
        self._hub = hub
        self._verifier = verifier
        self._connections: dict[str, Connection] = {}
        self._attachments: dict[str, Attachments] = {}
        self.on("connect", self._let_in)
        self.on("disconnect", self._let_out)

    def _engineio_server_class(self) -> type[ChatEngine]:
        return ChatEngine

    def start(self) -> None:
        """Take connections: from the beginning, and again after `stop`."""
        self.eio.is_retiring = False

    async def retire(self, seconds: float) -> None:
        """Take no new connections, and let those that are there go, to another server.

        Args:
            seconds: over how long. Those who are still there are served.
        """
        self.eio.is_retiring = True
        sockets = list(self.eio.sockets.values())
        await retire_all(sockets, seconds)
        if sockets:
            log.info("closed all connections", extra={"connections": len(sockets)})

    async def stop(self) -> None:
        """Let every connection go at once. Doing it twice is harmless."""
        await self.retire(0)
        self.eio.pings.stop()
        self.eio.arrivals.stop()

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
            identity = await self._verifier.verify(token_of(auth, environ))
            outlet = Outlet(ConnectionId(sid), identity.user_id, socket)
            socket.watch_direct(outlet.set_direct)
            self._hub.attach(outlet)
            try:
                opening = await self._chat.sessions.prepare(identity, outlet.connection_id)
            except BaseException:
                self._hub.detach(outlet)
                raise
        except ChatError as error:
            self._refusals.refused("refused", error, address_of(environ))
            self._count_refusal(error.code)
            raise _refused(outgoing.refusal(error)) from None
        except Exception:
            error_id = new_error_id()
            fields = {"error_id": error_id}
            log.exception("fault %s while somebody connected", error_id, extra=fields)
            self._count_refusal("internal")
            raise _refused(outgoing.fault(error_id)) from None
        actor = Actor(identity.user_id, outlet.connection_id)
        self._connections[eio_sid] = Connection(actor, outlet, opening)
        # The request has said all that it had to say, and weighs kilobytes.
        if eio_sid in self.environ:
            self.environ[eio_sid] = {}

    def _note_refused_connect(self, socket: EngineSocket) -> None:
        socket.refused_connects += 1
        if socket.refused_connects > MOST_REFUSED_CONNECTS:
            raise MalformedPacketError("connect after connect")

    def _open(self, socket: EngineSocket, connection: Connection, opening: Opening) -> None:
        connection.opening = None
        outlet = connection.outlet
        self.eio.arrivals.discard(socket.give_up)
        handed = outlet.release(opening)
        self._chat.sessions.open(outlet.user_id, outlet.connection_id, handed)
        log.info("connected", extra=_fields(connection))
        if self._measures is not None:
            self._measures.opened += 1

    def _note_too_many_handshakes(self) -> None:
        if self._measures is not None:
            self._measures.refused["too_many_handshakes"] += 1

    def _count_refusal(self, code: str) -> None:
        if self._measures is not None:
            self._measures.refused[code] += 1

    async def _let_out(self, sid: str, reason: str) -> None:
        eio_sid = self.manager.eio_sid_from_sid(sid, NAMESPACE)
        connection = None if eio_sid is None else self._connections.pop(eio_sid, None)
        if eio_sid is None or connection is None:
            return
        self._attachments.pop(eio_sid, None)
        self._hub.detach(connection.outlet)
        self._chat.sessions.close(connection.actor.user_id, connection.outlet.connection_id)
        if connection.opening is None:
            self._note_end(connection, reason.replace(" ", "_"))

    def _note_end(self, connection: Connection, reason: str) -> None:
        duration = round(monotonic() - connection.since, 3)
        fields = {**_fields(connection), "reason": reason, "duration": duration}
        log.info("disconnected", extra=fields)
        if self._measures is not None:
            self._measures.closed[reason] += 1

    # Packets.

    def _handle_text(self, eio_sid: str, data: bytes) -> Coroutine[Any, Any, object]:
        """Take an Engine.IO message; most are plain events."""
        connection = self._connections.get(eio_sid)
        if connection is not None and eio_sid not in self._attachments:
            event = event_of(data)
            if event is not None:
                return self._runner.run(connection.actor, connection.outlet, event)
        return self._handle_other_text(eio_sid, data)

    async def _handle_other_text(self, eio_sid: str, data: bytes) -> None:
        try:
            text = data[1:].decode()
        except UnicodeDecodeError:
            await self._end_malformed(eio_sid, "text that is not UTF-8")
        else:
            await self._handle_eio_message(eio_sid, text)

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        try:
            if eio_sid in self._attachments:
                await self._skip_attachment(eio_sid, data)
            else:
                await self._handle_packet(eio_sid, packet_of(data))
        except MalformedPacketError as error:
            await self._end_malformed(eio_sid, str(error))

    async def _end_malformed(self, eio_sid: str, sent: str) -> None:
        log.info("closed a connection that sent %s", sent)
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:
            await socket.close(reason=MALFORMED)

    async def _handle_packet(self, eio_sid: str, packet: Packet) -> None:
        if packet.packet_type != kinds.CONNECT:
            self._check_has_asked(eio_sid)
        match packet.packet_type:
            case kinds.CONNECT:
                await self._handle_connect(eio_sid, packet.namespace, packet.data)
            case kinds.DISCONNECT:
                await self._handle_goodbye(eio_sid, packet.namespace)
            case kinds.EVENT:
                self._check_namespace(packet)
                await self._handle_command(eio_sid, command_event(packet))
            case kinds.BINARY_EVENT:
                self._await_attachments(eio_sid, packet)
            case kinds.ACK | kinds.BINARY_ACK:
                return  # nothing of ours asks for one
            case _:
                raise MalformedPacketError("a packet of no known type")

    async def _handle_goodbye(self, eio_sid: str, namespace: str | None) -> None:
        """Let the user out. Their client may connect again over what is left, if it is soon."""
        was_in = eio_sid in self._connections
        await self._handle_disconnect(eio_sid, namespace)
        socket = self.eio.sockets.get(eio_sid)
        if was_in and socket is not None and eio_sid not in self._connections:
            self.eio.arrivals.add(socket.give_up)

    def _check_has_asked(self, eio_sid: str) -> None:
        """See that a client has asked to be let in before anything else.

        (Socket.IO protocol 5, "Connection to a namespace".) What it sent behind a question that
        was refused is passed over.
        """
        socket = self.eio.sockets.get(eio_sid)
        has_asked = socket is None or socket.refused_connects > 0
        if eio_sid not in self._connections and not has_asked:
            raise MalformedPacketError("something else before it had connected")

    def _check_namespace(self, packet: Packet) -> None:
        if packet.namespace not in {None, NAMESPACE}:
            raise MalformedPacketError("an event to a namespace that it is not connected to")

    def _await_attachments(self, eio_sid: str, packet: Packet) -> None:
        self._check_namespace(packet)
        if eio_sid not in self._connections:
            raise MalformedPacketError("binary content before it had connected")
        if not 0 < packet.attachment_count <= MOST_ATTACHMENTS:
            raise MalformedPacketError("an event with too many or no binary attachments")
        event = attrs.evolve(command_event(packet), is_readable=False)
        self._attachments[eio_sid] = Attachments(event, packet.attachment_count)

    async def _skip_attachment(self, eio_sid: str, data: str | bytes) -> None:
        if not isinstance(data, bytes):
            raise MalformedPacketError("something else than the binary attachment announced")
        attachments = self._attachments[eio_sid]
        attachments.left -= 1
        if attachments.left == 0:
            del self._attachments[eio_sid]
            await self._handle_command(eio_sid, attachments.event)

    async def _handle_command(self, eio_sid: str, event: CommandEvent) -> None:
        connection = self._connections.get(eio_sid)
        if connection is not None:  # else its token was not verified: it may not even be told so
            await self._runner.run(connection.actor, connection.outlet, event)


def _fields(connection: Connection) -> dict[str, object]:
    """What a line of the log says of a connection."""
    return {"connection": connection.outlet.connection_id, "user": connection.outlet.user_id}


def _refused(error: outgoing.Payload) -> socketio.exceptions.ConnectionRefusedError:
    return socketio.exceptions.ConnectionRefusedError(error["message"], error)
