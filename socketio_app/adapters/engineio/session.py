"""An Engine.IO session: no task, and on a WebSocket no queue.

All messages take the same path, whichever transport they come over. A client that breaks the
protocol ends its own session and affects no other.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from engineio.exceptions import EngineIOError, QueueEmpty, SocketIsClosedError
from engineio.packet import CLOSE, NOOP, PING
from engineio.packet import Packet as EnginePacket
from starlette.types import Receive

from socketio_app.adapters.engineio.confirmations import Unconfirmed
from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.drain import FINISH_SECONDS
from socketio_app.adapters.engineio.poll_codec import frame_of
from socketio_app.adapters.engineio.polling import PollingTransport
from socketio_app.adapters.engineio.state import TRANSITIONS, State
from socketio_app.adapters.engineio.upgrade import MAX_PROBES, UPGRADE_REFUSED, open_websocket
from socketio_app.adapters.engineio.websocket_transport import WebSocketTransport
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.close_reasons import (
    CLIENT_DISCONNECT,
    NOT_AUTHENTICATED,
    PING_TIMEOUT,
    RESTART,
    SERVER_DISCONNECT,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
)
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.interface import FrameWriter, Message, WebSocket
from socketio_app.application.cancellation import we_are_cancelled

log = logging.getLogger("socketio_app.socketio")


class Receiver(Protocol):
    """Handles what comes over one session."""

    def receive_text(self, data: bytes) -> Coroutine[Any, Any, object]:
        """Handle a text message, with Engine.IO's packet type before it."""
        ...

    def receive_binary(self, data: bytes) -> Coroutine[Any, Any, object]:
        """Handle a binary message."""
        ...

    def ignore(self, count: int) -> None:
        """Count packets and frames that have no meaning."""
        ...

    def closed(self, reason: str) -> None:
        """Clean up: the session has ended."""
        ...


class EngineSession:
    """One client's session, over one transport at a time. Implements `ConnectionWriter`.

    Attributes with names of python-engineio's are what its server asks of a session.
    """

    __slots__ = (
        "_close_code",
        "_is_probed",
        "_on_direct",
        "_probes",
        "_stop_pings",
        "_taken",
        "_unconfirmed",
        "_was_just_pinged",
        "address",
        "context",
        "pinged_at",
        "receiver",
        "sid",
        "state",
        "transport",
    )

    receiver: Receiver
    """Handles what the client sends; set before the handshake is answered."""

    def __init__(self, context: SessionContext, sid: str, address: str | None = None) -> None:
        self.context = context
        self.sid = sid
        self.address = address
        """The client's IPv4 address or IPv6 network; `None` if the server does not know it."""
        self.state = State.OPENING
        self.transport: PollingTransport | WebSocketTransport = PollingTransport(self)
        self.pinged_at: float | None = None
        self._unconfirmed: Unconfirmed | None = None
        self._was_just_pinged = False
        self._stop_pings: Callable[[], None] | None = None
        self._is_probed = False
        self._probes = 0
        self._on_direct: Callable[[FrameWriter | None], None] | None = None
        self._taken: asyncio.Event | None = None
        self._close_code = frames.NORMAL_CLOSURE

    def _enter(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"a session cannot go from {self.state.name} to {state.name}")
        self.state = state

    @property
    def connected(self) -> bool:
        """Whether the handshake was answered."""
        return self.state is not State.OPENING

    @property
    def upgraded(self) -> bool:
        """Whether the transport is a WebSocket."""
        return isinstance(self.transport, WebSocketTransport)

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        return self.state is State.CLOSED

    @property
    def is_ending(self) -> bool:
        """Whether the session has ended, or is about to."""
        return self.state is State.ENDING or self.state is State.CLOSED

    @property
    def is_authenticated(self) -> bool:
        """Whether a subscriber writes to this session."""
        return self._on_direct is not None

    # To the client.

    def write(self, frame: Frame) -> None:
        """Send a message's frame after earlier ones. Never waits."""
        self.transport.write(frame)

    def write_ephemeral(self, frame: Frame) -> None:
        """See `ConnectionWriter.write_ephemeral`."""
        if self.transport.unread_bytes > self.context.ephemeral_unread_bytes:
            self.context.dropped_frames += 1
        else:
            self.transport.write(frame)

    @property
    def unread_bytes(self) -> int:
        """Size of what is queued for the client."""
        return self.transport.unread_bytes

    def watch_direct(self, on_direct: Callable[[FrameWriter | None], None]) -> None:
        """Call back, now and at every change, with what writes frames directly, if anything."""
        self._on_direct = on_direct
        if self.transport.direct_writer is not None:
            on_direct(self.transport.direct_writer)

    def _note_direct(self, writer: FrameWriter | None) -> None:
        if self._on_direct is not None:
            self._on_direct(writer)
        self.note_taken()

    async def until_taken(self) -> None:
        """Wait until the client has taken what was written, or has gone."""
        while self.transport.is_blocked and not self.closed:
            self._taken = self._taken or asyncio.Event()
            self._taken.clear()
            await self._taken.wait()

    def note_taken(self) -> None:
        """Wake `until_taken`: the client has taken something."""
        if self._taken is not None:
            self._taken.set()

    async def send(self, pkt: EnginePacket) -> None:
        """Send one of python-engineio's packets."""
        if self.closed:
            raise SocketIsClosedError
        self.transport.write_packet(pkt)

    # The end.

    def end(self, reason: str, *, notify: bool = False) -> None:
        """End the session.

        Args:
            reason: why (`close_reasons`).
            notify: whether the client gets Engine.IO's close packet first.
        """
        if self.closed:
            return
        try:
            self.receiver.closed(reason)
        except Exception:
            log.exception("fault while a session ended")
        if notify:
            self.transport.write_packet(EnginePacket(CLOSE))
        self._enter(State.CLOSED)
        if self._stop_pings is not None:
            self._stop_pings()
        self.context.connect_timeout.discard(self.time_out)
        self.context.sessions.pop(self.sid, None)
        self.note_taken()
        self.transport.end(reason, self._close_code)

    def end_soon(self, reason: str) -> None:
        """End the session in the next turn of the loop: this one may be writing a broadcast."""
        if not self.is_ending:
            self._enter(State.ENDING)
            asyncio.get_running_loop().call_soon(self.end, reason)

    async def close(self, **_options: object) -> None:
        """End the session for python-engineio."""
        self.end(SERVER_DISCONNECT, notify=True)

    def dismiss(self, reason: str, goodbye: Frame | None = None) -> None:
        """See `ConnectionWriter.dismiss`."""
        if self.is_ending:
            return
        if goodbye is not None:
            self.write(goodbye)
        self._close_code = frames.POLICY_VIOLATION
        self.end_soon(reason)

    def fail(self, error: Exception) -> None:
        """See `ConnectionWriter.fail`."""
        self.transport.fail(error)

    def time_out(self) -> None:
        """End the session: its client did not authenticate in time."""
        log.info("connection closed: authentication timed out")
        self.dismiss(NOT_AUTHENTICATED)

    async def drain(self) -> None:
        """Handle what the client has sent, and end, so that it connects to another server.

        Engine.IO's own close packet would keep some clients from reconnecting.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self.transport.finish()
        self._close_code = frames.SERVICE_RESTART
        self.end(RESTART)

    # Pings and confirmations.

    def schedule_ping(self) -> None:
        """Begin to ping the client."""
        if self._stop_pings is None:
            self._stop_pings = self.context.heartbeat.add(self)

    def ping(self) -> None:
        """Ping the client. Over a WebSocket, its answer confirms all that was written before."""
        self.transport.write_packet(EnginePacket(PING))
        if self._unconfirmed is not None:
            self._unconfirmed.note_ping()

    def ping_timed_out(self) -> None:
        """End the session: the client did not answer."""
        self.transport.reset(PING_TIMEOUT)

    def expect(self, receipt: Any) -> None:
        """See `ConnectionWriter.expect`."""
        unconfirmed = self._unconfirmed = self._unconfirmed or Unconfirmed()
        self.transport.add_receipt(unconfirmed, receipt)
        self._ping_if_needed()

    def may_ping_again(self) -> None:
        """See `Confirming.may_ping_again`."""
        self._was_just_pinged = False
        self._ping_if_needed()

    def _ping_if_needed(self) -> None:
        """Ping for a confirmation. `Heartbeat` ends the session where none comes."""
        if self._unconfirmed is None or not self._unconfirmed.needs_ping or self.closed:
            return
        if self.pinged_at is None and not self._was_just_pinged:
            self.pinged_at = asyncio.get_running_loop().time()
            self._was_just_pinged = True
            self.context.confirmations.start(self, self.pinged_at)
            self.ping()

    def _note_pong(self) -> None:
        if self.pinged_at is None:
            self.receiver.ignore(1)  # the client was not pinged
            return
        self.pinged_at = None
        if self._unconfirmed is not None:
            self._report(self._unconfirmed.note_pong())
            self._ping_if_needed()

    def note_poll(self, taken_packets: int) -> None:
        """Report what was given to the polls before this one."""
        if self._unconfirmed is not None:
            self._report(self._unconfirmed.note_poll(taken_packets))

    def _report(self, confirmed: Sequence[Any]) -> None:
        if confirmed:
            self.context.on_confirmed(confirmed)

    # The transport.

    async def handle_get_request(self, environ: dict[str, Any]) -> Any:
        """Answer a poll, or open a WebSocket."""
        if environ["asgi.scope"]["type"] == "websocket":
            return await self._open_websocket(environ)
        transport = self.transport
        if self.state is State.UPGRADING or not isinstance(transport, PollingTransport):
            return [EnginePacket(NOOP)]
        return await transport.poll(environ["asgi.receive"])

    async def fetch(self, receive: Receive) -> Sequence[EnginePacket]:
        """Wait for the packets that answer the handshake (`PollingTransport.fetch`)."""
        if not isinstance(self.transport, PollingTransport):
            raise QueueEmpty
        return await self.transport.fetch(receive)

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Handle the packets of a POST request (`PollingTransport.post`)."""
        if not isinstance(self.transport, PollingTransport):
            raise EngineIOError
        await self.transport.post(environ)

    async def _open_websocket(self, environ: dict[str, Any]) -> Any:
        """Open a WebSocket, or return the refusal of an upgrade."""
        if self._is_probed or self._probes >= MAX_PROBES:
            return UPGRADE_REFUSED
        self._is_probed = self.connected
        self._probes += self.connected
        try:
            await open_websocket(self, environ)
        except BaseException:
            self._is_probed = False
            raise
        return ""

    def begin_polling(self) -> None:
        """Go on by polling: the handshake was a polling request."""
        self._enter(State.POLLING)

    @property
    def may_upgrade(self) -> bool:
        """Whether an upgrade may be completed."""
        return self.state is State.UPGRADING

    def begin_upgrade(self) -> None:
        """Answer an open poll, so that the client begins no other."""
        if self.state is State.POLLING:
            self._enter(State.UPGRADING)
        self.transport.write_packet(EnginePacket(NOOP))

    def cancel_upgrade(self) -> None:
        """Go on polling."""
        self._is_probed = False
        if self.state is State.UPGRADING:
            self._enter(State.POLLING)

    def end_on(self, websocket: WebSocket) -> None:
        """Close a WebSocket that came too late, after what the client has not fetched."""
        for packet in self.transport.take_all():
            if packet.packet_type not in (NOOP, PING):
                websocket.write(frame_of(packet))
        self.context.leftovers.drop(self.sid)
        websocket.close(self._close_code)

    def use_websocket(self, websocket: WebSocket) -> WebSocketTransport:
        """Use a WebSocket from now on, also for what is queued."""
        self._enter(State.WEBSOCKET)
        polling = self.transport
        runs_outside_tasks = self.context.runs_outside_tasks
        transport = self.transport = WebSocketTransport(
            websocket,
            self.handle,
            at_once=_is_event_or_pong if runs_outside_tasks else _is_pong,
            overtakes=self._take_pong,
            max_unread_bytes=self.context.max_unread_bytes,
            on_ignored=self.receiver.ignore,
            on_lost=self._lost,
        )
        transport.on_direct = self._note_direct
        # First: messages that arrive early are kept in order, and a slow reader is noticed.
        websocket.hand_to(transport)
        for packet in polling.take_all():
            if packet.packet_type != NOOP:
                transport.write_packet(packet)
        self._note_direct(transport.direct_writer)
        if self._unconfirmed is not None:
            self._unconfirmed.note_upgrade()
            self._ping_if_needed()
        return transport

    # From the client.

    async def handle(self, message: Message) -> None:
        """Handle a message. Raises nothing unless it is cancelled."""
        if self.is_ending:
            return
        opcode, payload = message
        try:
            if opcode == frames.BINARY:
                await self.receiver.receive_binary(payload)
            elif payload.startswith(b"4"):
                await self.receiver.receive_text(payload)
            elif payload == b"3":
                self._note_pong()
            elif payload == b"1":
                self.end(CLIENT_DISCONNECT)
            else:
                log.info("connection closed: not an Engine.IO packet")
                self.end(TRANSPORT_ERROR)
        except asyncio.CancelledError:
            if we_are_cancelled():
                raise
            log.exception("cancelled while handling what a client sent")
        except Exception:
            log.exception("fault while handling what a client sent")

    def _take_pong(self, message: Message) -> bool:
        """Take a pong, which shows that the client is there although its commands wait."""
        if not _is_pong(message):
            return False
        self._note_pong()
        return True

    async def _lost(self) -> None:
        reason = TRANSPORT_CLOSE
        if isinstance(self.transport, WebSocketTransport):
            self.context.dropped_frames += self.transport.dropped
            reason = self.transport.ending or reason
        self.end(reason)


def _is_pong(message: Message) -> bool:
    """Whether it is a pong. Nothing that handles one asks which task it is in."""
    return message == (frames.TEXT, b"3")


def _is_event_or_pong(message: Message) -> bool:
    """Whether it is a pong or a Socket.IO event; a CONNECT may call the host's code."""
    return message[1].startswith(b"42") or message == (frames.TEXT, b"3")
