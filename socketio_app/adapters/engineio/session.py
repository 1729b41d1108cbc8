"""An Engine.IO connection that has no task, and on a WebSocket no queue.

Everything that a client sends goes one way, whichever transport it came over; and whatever a client
sends that is not Engine.IO ends its connection, and nothing else.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from engineio.async_socket import AsyncSocket
from engineio.exceptions import (
    ContentTooLongError,
    EngineIOError,
    QueueEmpty,
    SocketIsClosedError,
)
from engineio.packet import NOOP, PING
from engineio.packet import Packet as EnginePacket
from starlette.types import Receive

from socketio_app.adapters.engineio.confirmations import ConfirmationTimer, Unconfirmed
from socketio_app.adapters.engineio.connect_timeout import ConnectTimeout
from socketio_app.adapters.engineio.drain import FINISH_SECONDS
from socketio_app.adapters.engineio.environ import TooLongError
from socketio_app.adapters.engineio.heartbeat import Heartbeat
from socketio_app.adapters.engineio.leftovers import Leftovers
from socketio_app.adapters.engineio.packets import MessagePacket
from socketio_app.adapters.engineio.poll_codec import (
    frame_of,
    given_up_by,
    max_post_bytes,
    message_of,
    packets_in,
)
from socketio_app.adapters.engineio.poll_queue import MAX_POLL_BYTES, PollQueue
from socketio_app.adapters.engineio.upgrade import Probe
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.asgi_websocket import AsgiWebSocket
from socketio_app.adapters.websocket.close_reasons import NOT_LET_IN, RESTART, WRITE_FAILED
from socketio_app.adapters.websocket.connection import WebSocketConnection
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.interface import (
    EXTENSION,
    FrameWriter,
    Message,
    TakeoverWebSocket,
    WebSocket,
)
from socketio_app.adapters.websocket.turn import Turn
from socketio_app.application.cancellation import start_task, to_the_end, we_are_cancelled

log = logging.getLogger("socketio_app.socketio")

FETCH_SECONDS = 5.0
"""How long a polling client's commands wait for it to fetch earlier answers."""

MAX_PROBES = 5
"""Upgrades that one polling session may begin; official clients begin one.

Each costs an HTTP upgrade, and sessions are limited by their address.
"""

_SMALL_PACKET_BYTES = 64
"""What one of Engine.IO's own packets takes, about."""


class Engine(Protocol):
    """What a connection needs of its server."""

    pings: Heartbeat
    confirmations: ConfirmationTimer
    on_received: Callable[[Sequence[Any]], None]
    """Called with receipts that a client has confirmed."""
    connect_timeout: ConnectTimeout
    sockets: dict[str, Any]
    max_http_buffer_size: int
    max_unread_bytes: int
    ephemeral_unread_bytes: int
    dropped_frames: int
    leftovers: Leftovers
    reasons_of_clients: frozenset[str]
    runs_outside_tasks: bool
    handle_text: Callable[[str, bytes], Coroutine[Any, Any, object]]
    handle_binary: Callable[[str, bytes], Coroutine[Any, Any, None]]
    handle_ignored: Callable[[str, int], None]

    def refuse_probe(self) -> dict[str, Any]:
        """Return the answer to an upgrade while another is under way."""
        ...

    def say_plain(self) -> None:
        """Note that a WebSocket could not be taken over."""
        ...

    @property
    def reason(self) -> Any:
        """The names of reasons for an end."""
        ...


class EngineSession(AsyncSocket):
    """A client's connection, over whichever transports."""

    # With more attributes than CPython shares the keys of (30), a connection takes 1.5 KB more.
    __slots__ = (
        "_ask_no_more",
        "_close_code",
        "_ending",
        "_engine",
        "_has_broken_protocol",
        "_is_client_there",
        "_is_polled",
        "_is_posted",
        "_is_probed",
        "_link",
        "_on_direct",
        "_outbox",
        "_posting",
        "_taken",
        "_unconfirmed",
        "_was_just_pinged",
        "address",
        "ignored_packets",
        "pinged_at",
        "refused_connects",
    )

    def __init__(self, server: Engine, sid: str, address: str | None = None) -> None:
        super().__init__(server, sid)
        self._engine = server
        self.address = address
        """The client's IPv4 address or IPv6 network; `None` if the server does not know it."""
        self.pinged_at: float | None = None
        self._unconfirmed: Unconfirmed | None = None
        self._was_just_pinged = False
        self._ask_no_more: Callable[[], None] | None = None
        self._connection: WebSocketConnection | None = None
        self._poll_queue = PollQueue()
        self._posting: asyncio.Lock | None = None
        self._ending: asyncio.Task[None] | None = None
        self._is_polled = self._is_posted = self._is_probed = False
        self._probes = 0
        self.has_asked = False
        """Whether a CONNECT has come over it."""
        self.refused_connects = 0
        """How often nobody was let in over it."""
        self.ignored_packets = 0
        """Packets dropped because the client is not authenticated."""
        self._on_direct: Callable[[FrameWriter | None], None] | None = None
        self._taken: asyncio.Event | None = None
        self._close_code = frames.NORMAL_CLOSURE
        self._is_client_there = self._has_broken_protocol = False

    # To the client.

    def write(self, frame: Frame) -> None:
        """Send a message's frame after those before it. Never waits."""
        if self._connection is not None:
            self._connection.write(frame)
        else:
            self._keep(MessagePacket(frame), len(frame))

    def write_ephemeral(self, frame: Frame) -> None:
        """See `ConnectionWriter`."""
        if self.unread_bytes > self._engine.ephemeral_unread_bytes:
            self._engine.dropped_frames += 1
        else:
            self.write(frame)

    @property
    def unread_bytes(self) -> int:
        """How much waits for the client to read, or to ask for."""
        if self._connection is not None:
            return self._connection.unread_bytes
        return self._poll_queue.bytes

    def watch_direct(self, on_direct: Callable[[FrameWriter | None], None]) -> None:
        """Say, now and whenever it changes, what writes a frame while nothing is in the way."""
        self._on_direct = on_direct
        if self._connection is not None:
            on_direct(self._connection.direct_writer)

    def _note_direct(self, writer: FrameWriter | None) -> None:
        if self._on_direct is not None:
            self._on_direct(writer)
        self._note_taken()

    async def until_taken(self) -> None:
        """Wait until the client has taken what was written: its socket's buffer, or its polls."""
        while self._waits_for_client and not self.closed:
            self._taken = self._taken or asyncio.Event()
            self._taken.clear()
            await self._taken.wait()

    @property
    def _waits_for_client(self) -> bool:
        return (
            self._poll_queue.bytes > 0
            if self._connection is None
            else self._connection.direct is None
        )

    def _note_taken(self) -> None:
        if self._taken is not None:
            self._taken.set()

    async def send(self, pkt: EnginePacket) -> None:
        """Send one of python-engineio's packets."""
        if self.closed:
            raise SocketIsClosedError
        self._send(pkt)

    async def close(
        self,
        wait: bool = True,  # noqa: FBT001, FBT002  (python-engineio's own)
        abort: bool = False,  # noqa: FBT001, FBT002
        reason: str | None = None,
    ) -> None:
        """End the connection; its client is told first, unless it is to be aborted."""
        del wait  # for the client to have read everything: that may be for ever
        await super().close(wait=False, abort=abort, reason=reason)
        if self._ask_no_more is not None:
            self._ask_no_more()
        self._engine.connect_timeout.discard(self.time_out)
        self._engine.sockets.pop(self.sid, None)
        self._note_taken()
        if self._connection is not None:
            self._connection.close(self._close_code)
        else:
            self._poll_queue.end()
            is_of_client = self._has_broken_protocol or reason in self._engine.reasons_of_clients
            self._is_client_there = not is_of_client
            if not self._is_polled:
                self._keep_leftovers()

    def _keep_leftovers(self) -> None:
        """Let a client that is still there fetch what it has not fetched yet."""
        if self._is_client_there and self._poll_queue.has_messages:
            self._engine.leftovers.keep(self.sid, self._poll_queue)

    def dismiss(self, reason: str, goodbye: Frame | None = None) -> None:
        """See `ConnectionWriter`."""
        if self.closed or self._ending is not None:
            return
        if goodbye is not None:
            self.write(goodbye)
        self._close_code = frames.POLICY_VIOLATION
        self._end_soon(reason)

    def fail(self, error: Exception) -> None:
        """See `ConnectionWriter`."""
        if self._connection is not None:
            self._connection.fail(error)
        else:
            log.error("fault while writing to a connection", exc_info=error)
            self._end_soon(WRITE_FAILED)

    def time_out(self) -> None:
        """End the connection: nobody was let in over it in time."""
        log.info("closed a connection over which nobody was let in in time")
        self.dismiss(NOT_LET_IN)

    async def drain(self) -> None:
        """Finish what the client has sent, and end; so that it connects again, elsewhere.

        Engine.IO's own close packet would make some clients stay away.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self._finish()
        self._close_code = frames.SERVICE_RESTART
        await self.close(abort=True, reason=RESTART)

    async def _finish(self) -> None:
        if self._connection is not None:
            await self._connection.finish()
        elif self._posting is not None:
            async with self._posting:
                return  # what was posted is handled

    def _send(self, packet: EnginePacket) -> None:
        if self._connection is not None:
            self._connection.write(frame_of(packet))
        else:
            self._keep(packet, _SMALL_PACKET_BYTES)

    def _keep(self, packet: EnginePacket, size: int) -> None:
        """Keep a packet until the client polls; end a client's connection that does not."""
        if self.closed or self._ending is not None:
            return
        self._poll_queue.put(packet, size)
        if self._poll_queue.overdue_bytes > self._engine.max_unread_bytes:
            log.info("closed a connection that does not read")
            self._poll_queue.clear()
            self._end_soon(self._engine.reason.TRANSPORT_ERROR)

    def _end_soon(self, reason: str) -> None:
        if self._ending is None:
            self._ending = start_task(self._end(reason))

    # Pings and confirmations.

    def schedule_ping(self) -> None:
        """Begin to ask the client whether it is there."""
        if self._ask_no_more is None:
            self._ask_no_more = self._engine.pings.add(self)

    def ping(self) -> None:
        """Ask. The answer confirms all that was written over a WebSocket before."""
        self._send(EnginePacket(PING))
        if self._connection is not None and self._unconfirmed is not None:
            self._unconfirmed.note_ping()

    def expect(self, receipt: Any) -> None:
        """See `ConnectionWriter`."""
        unconfirmed = self._unconfirmed = self._unconfirmed or Unconfirmed()
        if self._connection is None:
            unconfirmed.add_polled(receipt, self._poll_queue.put_packets)
            return
        unconfirmed.add_written(receipt)
        if self.pinged_at is None and not self._was_just_pinged:
            self._ask_for_confirmation()

    def may_ping_again(self) -> None:
        """See `Confirming`."""
        self._was_just_pinged = False
        self._ask_if_needed()

    def _ask_if_needed(self) -> None:
        unconfirmed = self._unconfirmed
        if unconfirmed is None or not unconfirmed.needs_ping or self.closed:
            return
        if self.pinged_at is None and not self._was_just_pinged:
            self._ask_for_confirmation()

    def _ask_for_confirmation(self) -> None:
        """Ping the client. `Heartbeat` ends the connection where it does not answer."""
        now = asyncio.get_running_loop().time()
        self.pinged_at = now
        self._was_just_pinged = True
        self._engine.confirmations.start(self, now)
        self.ping()

    def _note_pong(self) -> None:
        if self.pinged_at is None:
            self._note_ignored()  # nobody asked
            return
        self.pinged_at = None
        if self._unconfirmed is not None:
            self._report(self._unconfirmed.note_pong())
            self._ask_if_needed()

    def _note_poll(self) -> None:
        """Report what was given to the polls before this one."""
        if self._unconfirmed is not None:
            self._report(self._unconfirmed.note_poll(self._poll_queue.taken_packets))

    def _report(self, received: Sequence[Any]) -> None:
        if received:
            self._engine.on_received(received)

    def ping_timed_out(self) -> None:
        """End the connection: the client did not answer."""
        if self._connection is not None:
            self._connection.reset(self._engine.reason.PING_TIMEOUT)
        else:
            self._end_soon(self._engine.reason.PING_TIMEOUT)

    async def check_ping_timeout(self) -> bool:
        """Nothing: the wheel looks after that."""
        return True

    def _take_pong(self, message: Message) -> bool:
        """Take a pong, which says that the client is there, though its commands wait."""
        if not _is_pong(message):
            return False
        self._note_pong()
        return True

    # Polling.

    async def handle_get_request(self, environ: dict[str, Any]) -> Any:
        """Answer a poll, or open a WebSocket."""
        if environ["asgi.scope"]["type"] == "websocket":
            return await self._upgrade_websocket(environ)
        if self.upgrading or self.upgraded:
            return [EnginePacket(NOOP)]
        if self._is_polled:
            # Two at once, and the server could not know which of them gets what (Engine.IO
            # protocol 4, "HTTP long-polling"): the first is told of the end, this one is wrong.
            await self.close(reason=self._engine.reason.TRANSPORT_ERROR)
            raise QueueEmpty
        self._is_polled = True
        self._note_poll()
        try:
            return await self.fetch(environ["asgi.receive"])
        except QueueEmpty:
            await self._end(self._engine.reason.TRANSPORT_ERROR)
            raise
        finally:
            self._is_polled = False
            if self.closed:
                self._keep_leftovers()

    async def fetch(self, receive: Receive) -> Sequence[EnginePacket]:
        """Wait for packets to a client that polls; the next ping is one, and so is the end.

        At the end there is a NOOP where nothing else is: no packet at all is no payload of
        Engine.IO's, and clients report an error.

        Raises:
            QueueEmpty: the client has given the poll up, which ends its connection: it cannot know
                what it missed.
        """
        if self._poll_queue.bytes:
            return self._take_for_poll()
        filled = start_task(self._poll_queue.filled())
        given_up = start_task(given_up_by(receive))
        try:
            await asyncio.wait([filled, given_up], return_when=asyncio.FIRST_COMPLETED)
            if given_up.done():
                raise QueueEmpty
            return self._take_for_poll()
        finally:
            filled.cancel()
            given_up.cancel()

    def _take_for_poll(self) -> Sequence[EnginePacket]:
        taken = self._poll_queue.take()
        self._note_taken()
        return taken or [EnginePacket(NOOP)]

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Take what a polling client sends.

        Raises:
            EngineIOError: it cannot be taken, or the client sends something already: the order of
                the two would be anybody's guess (Engine.IO protocol 4, "Sending data").
        """
        if self._is_posted:
            raise EngineIOError
        self._is_posted = True
        try:
            packets = await self._posted_in(environ)
            # To the end, also where the server stops waiting for the answer.
            await to_the_end(self._take_posted(packets))
        except EngineIOError:
            if not self.closed:  # else there is nothing left to end
                self._has_broken_protocol = True
                raise
        finally:
            self._is_posted = False

    async def _take_posted(self, packets: Sequence[bytes]) -> None:
        self._posting = self._posting or asyncio.Lock()
        async with self._posting:
            turn, polls = Turn(), True
            for packet in packets:
                if self.closed:
                    return
                await self._handle(message_of(packet))
                if polls and self._poll_queue.bytes > self._max_unfetched_bytes:
                    polls = await self._waited_for_polls()
                if turn.is_over():
                    await asyncio.sleep(0)
                    turn = Turn()

    async def _waited_for_polls(self) -> bool:
        """Let commands wait while the client does not fetch what those before them gave.

        Returns:
            Whether it polls. A client that polls only after its request was answered waits once.
        """
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                await self._poll_queue.fetched(self._max_unfetched_bytes)
        except TimeoutError:
            return False
        return True

    @property
    def _max_unfetched_bytes(self) -> int:
        """From how much on the client's commands wait: as much as one poll takes."""
        return min(MAX_POLL_BYTES, self._engine.max_unread_bytes // 2)

    async def _posted_in(self, environ: dict[str, Any]) -> Sequence[bytes]:
        max_bytes = self._engine.max_http_buffer_size
        # Only a client whose token was verified sends several commands at once.
        is_connected = self._on_direct is not None
        try:
            body: bytes | None = await environ["wsgi.input"].read(
                max_post_bytes(max_bytes) if is_connected else max_bytes
            )
            if body is None:
                raise EngineIOError  # a part of it could be something else than the whole
            return packets_in(body, max_bytes)
        except TooLongError:
            log.info("closed a connection that sent too much at once")
            raise ContentTooLongError from None

    # The WebSocket.

    async def _upgrade_websocket(self, environ: dict[str, Any]) -> Any:
        """Open a WebSocket: the connection's own, or one that it may change to."""
        send, receive = environ["asgi.send"], environ["asgi.receive"]
        if self._is_probed or self._probes >= MAX_PROBES:
            return self._engine.refuse_probe()
        self._is_probed = self.connected
        self._probes += self.connected
        try:
            await send({"type": "websocket.accept"})
        except BaseException:
            self._is_probed = False
            raise
        max_bytes = self._engine.max_http_buffer_size
        offered: TakeoverWebSocket | None = (environ["asgi.scope"].get("extensions") or {}).get(
            EXTENSION
        )
        if offered is not None and offered.take_over(max_bytes):
            self._begin_on(offered)
        else:
            self._engine.say_plain()
            websocket = AsgiWebSocket(receive, send, max_bytes)
            self._begin_on(websocket)
            await websocket.serve()
        return ""

    def _begin_on(self, websocket: WebSocket) -> None:
        if self.connected:
            websocket.hand_to(Probe(websocket, self))
            return
        connection = self.upgraded_to(websocket)
        if self.closed:  # while the accept waited
            connection.close(self._close_code)

    def may_upgrade(self) -> bool:
        """See `Upgrading`."""
        return not (self.upgraded or self.closing or self.closed)

    def end_poll(self) -> None:
        """See `Upgrading`."""
        self.upgrading = True
        self._send(EnginePacket(NOOP))

    def not_upgraded(self) -> None:
        """See `Upgrading`."""
        self.upgrading = self._is_probed = False

    def end_on(self, websocket: WebSocket) -> None:
        """See `Upgrading`."""
        for packet in self._poll_queue.take_all():
            if packet.packet_type not in (NOOP, PING):
                websocket.write(frame_of(packet))
        self._engine.leftovers.drop(self.sid)
        websocket.close(self._close_code)

    def upgraded_to(self, websocket: WebSocket) -> WebSocketConnection:
        """See `Upgrading`."""
        self.connected = self.upgraded = True
        self.upgrading = False
        connection = self._connection = WebSocketConnection(
            websocket,
            self._handle,
            at_once=_is_event_or_pong if self._engine.runs_outside_tasks else _is_pong,
            overtakes=self._take_pong,
            max_unread_bytes=self._engine.max_unread_bytes,
            on_ignored=self._note_ignored,
            on_lost=self._lost,
        )
        connection.on_direct = self._note_direct
        # First: what comes before its turn is told is kept in order, and a client that does not
        # read is noticed.
        websocket.hand_to(connection)
        for packet in self._poll_queue.take_all():
            if packet.packet_type != NOOP:
                connection.write(frame_of(packet))
        self._note_direct(connection.direct_writer)
        if self._unconfirmed is not None:
            self._unconfirmed.note_upgrade()
            self._ask_if_needed()
        return connection

    # From the client.

    async def _handle(self, message: Message) -> None:
        if self.closing or self._ending is not None:
            return
        opcode, payload = message
        try:
            if opcode == frames.BINARY:
                await self._engine.handle_binary(self.sid, payload)
            elif payload.startswith(b"4"):
                await self._engine.handle_text(self.sid, payload)
            elif payload == b"3":
                self._note_pong()
            elif payload == b"1":
                await self._end(self._engine.reason.CLIENT_DISCONNECT)
            else:
                log.info("closed a connection that sent a packet that is not Engine.IO")
                await self._end(self._engine.reason.TRANSPORT_ERROR)
        except asyncio.CancelledError:
            if we_are_cancelled():
                raise
            log.exception("cancelled while handling what a client sent")
        except Exception:
            log.exception("fault while handling what a client sent")

    def _note_ignored(self, count: int = 1) -> None:
        """Count packets and frames that nobody asked for."""
        self._engine.handle_ignored(self.sid, count)

    async def _lost(self) -> None:
        why = self._engine.reason.TRANSPORT_CLOSE
        if self._connection is not None:
            why = self._connection.ending or why
            self._engine.dropped_frames += self._connection.dropped
        await self._end(why)

    async def _end(self, reason: str) -> None:
        await self.close(abort=True, reason=reason)


def _is_pong(message: Message) -> bool:
    """Whether it is a pong. Nothing that handles one asks which task it is in."""
    return message == (frames.TEXT, b"3")


def _is_event_or_pong(message: Message) -> bool:
    """Whether it is a pong or a Socket.IO event; a CONNECT may call the host's code."""
    return message[1].startswith(b"42") or message == (frames.TEXT, b"3")
