"""The protocol-independent part of a session: writing, closing, pings and confirmations."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from socketio_app.adapters.engineio.confirmations import Unconfirmed
from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.drain import FINISH_TIMEOUT_SECONDS
from socketio_app.adapters.engineio.state import TRANSITIONS, State, following
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.close_reasons import (
    NOT_AUTHENTICATED,
    PING_TIMEOUT,
    SERVER_RESTART,
)
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.handling import Work
from socketio_app.adapters.websocket.interface import FrameWriter, Message

log = logging.getLogger("socketio_app.socketio")


class Transport(Protocol):
    """Carrier of a session's messages."""

    @property
    def direct_writer(self) -> FrameWriter | None:
        """Writer of frames while nothing is queued; `None` otherwise."""
        ...

    @property
    def unread_bytes(self) -> int:
        """Size of the data queued for the client, in bytes."""
        ...

    @property
    def is_blocked(self) -> bool:
        """Whether data is queued for the client."""
        ...

    def write(self, frame: Frame) -> None:
        """Send a message after earlier ones. Never waits."""
        ...

    def write_ping(self) -> None:
        """Ping the client."""
        ...

    @property
    def last_packet(self) -> int | None:
        """Number of the packet queued last; `None` if pongs confirm what was written."""
        ...

    async def finish(self) -> None:
        """Stop reading, and handle every received message."""
        ...

    def reset(self, reason: str) -> None:
        """Abort the connection: the client does not respond."""
        ...

    def fail(self, error: Exception) -> None:
        """Log a failed write and abort the connection, whose client has missed a message."""
        ...

    def session_closed(self, reason: str, close_code: int) -> None:
        """Close the connection after sending what is queued."""
        ...


class ClientSession:
    """One client's session, over one transport at a time. Implements `ConnectionWriter`."""

    __slots__ = (
        "_close_code",
        "_on_direct_writer",
        "_ping_slot",
        "_taken",
        "_unconfirmed",
        "_was_just_pinged",
        "address",
        "context",
        "is_closing",
        "pinged_at",
        "sid",
        "state",
        "transport",
    )

    transport: Transport

    def __init__(self, context: SessionContext, sid: str, address: str | None) -> None:
        self.context = context
        self.sid = sid
        self.address = address
        """The client's IPv4 address or IPv6 network; `None` if the server does not know it."""
        self.state = State.OPENING
        self.is_closing = False
        """Whether the session is closed or about to be closed."""
        self.pinged_at: float | None = None
        self._unconfirmed: Unconfirmed | None = None
        self._was_just_pinged = False
        self._ping_slot: int | None = None
        self._on_direct_writer: Callable[[FrameWriter | None], None] | None = None
        self._taken: asyncio.Event | None = None
        self._close_code = frames.NORMAL_CLOSURE

    def receive(self, message: Message) -> Work | None:
        """Handle a message from the client, unless the session is closing.

        Returns:
            A coroutine that does what is left, if anything.
        """
        raise NotImplementedError

    def overtakes(self, _message: Message, /) -> bool:
        """Handle a message that need not wait for earlier ones; return whether it is one."""
        return False

    def begin_grouped(self, message: Message, on_done: Callable[[], None], /) -> bool:
        """Begin to handle a message if the chat stores it together with others; see `Inbox`."""
        raise NotImplementedError

    def receiver_closed(self, reason: str) -> None:
        """Clean up the handler of the client's messages: the session is closing."""
        raise NotImplementedError

    def receiver_ignored(self, count: int) -> None:
        """Count meaningless frames or packets."""
        raise NotImplementedError

    def _enter(self, state: State) -> None:
        self.state = following(TRANSITIONS, self.state, state)
        self.is_closing = state in {State.CLOSING, State.CLOSED}

    @property
    def closed(self) -> bool:
        """Whether the session is closed."""
        return self.state is State.CLOSED

    @property
    def is_authenticated(self) -> bool:
        """Whether a subscriber writes to this session."""
        return self._on_direct_writer is not None

    # To the client.

    def write(self, frame: Frame) -> None:
        """Send a message's frame after earlier ones. Never waits."""
        self.transport.write(frame)

    def write_ephemeral(self, frame: Frame) -> None:
        """See `ConnectionWriter.write_ephemeral`."""
        if self.transport.unread_bytes > self.context.ephemeral_unread_bytes:
            self.context.count_dropped_frames(1)
        else:
            self.transport.write(frame)

    @property
    def unread_bytes(self) -> int:
        """Size of the data queued for the client, in bytes."""
        return self.transport.unread_bytes

    def watch_direct_writer(self, on_direct_writer: Callable[[FrameWriter | None], None]) -> None:
        """Call back with the direct writer, if any: now, and at each change."""
        self._on_direct_writer = on_direct_writer
        if self.transport.direct_writer is not None:
            on_direct_writer(self.transport.direct_writer)

    def note_direct_writer(self, writer: FrameWriter | None) -> None:
        """Report a change of the direct writer."""
        if self._on_direct_writer is not None:
            self._on_direct_writer(writer)
        self.note_received()

    async def wait_until_received(self) -> None:
        """Wait until the client has received everything queued, or the session is closed."""
        while self.transport.is_blocked and not self.closed:
            self._taken = self._taken or asyncio.Event()
            self._taken.clear()
            await self._taken.wait()

    def note_received(self) -> None:
        """Wake `wait_until_received`: the client has received queued data."""
        if self._taken is not None:
            self._taken.set()

    # Closing.

    def close_now(self, reason: str) -> None:
        """Close the session. `reason` is one of `close_reasons`."""
        if self.closed:
            return
        try:
            self.receiver_closed(reason)
        except Exception:
            log.exception("internal error while closing a session")
        self._enter(State.CLOSED)
        if self._ping_slot is not None:
            self.context.heartbeat.remove(self, self._ping_slot)
        self.context.connect_timeout.discard(self.time_out)
        self.context.sessions.pop(self.sid, None)
        self.note_received()
        self.transport.session_closed(reason, self._close_code)

    def close_soon(self, reason: str) -> None:
        """Close the session in the next turn of the loop: this one may be writing a broadcast."""
        if not self.is_closing:
            self._enter(State.CLOSING)
            asyncio.get_running_loop().call_soon(self.close_now, reason)

    def dismiss(self, reason: str, last_frame: Frame | None = None) -> None:
        """See `ConnectionWriter.dismiss`."""
        if self.is_closing:
            return
        if last_frame is not None:
            self.write(last_frame)
        self._close_code = frames.POLICY_VIOLATION
        self.close_soon(reason)

    def fail(self, error: Exception) -> None:
        """See `ConnectionWriter.fail`."""
        self.transport.fail(error)

    def time_out(self) -> None:
        """Close the session: its client did not authenticate in time."""
        log.info("connection closed: authentication timed out")
        self.dismiss(NOT_AUTHENTICATED)

    async def drain(self) -> None:
        """Handle what the client has sent, and close so that it reconnects to another server.

        An Engine.IO close packet would keep some clients from reconnecting.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_TIMEOUT_SECONDS):
                await self.transport.finish()
        self._close_code = frames.SERVICE_RESTART
        self.close_now(SERVER_RESTART)

    # Pings and confirmations.

    def schedule_ping(self) -> None:
        """Start pinging the client."""
        if self._ping_slot is None:
            self._ping_slot = self.context.heartbeat.add(self)

    def ping(self) -> None:
        """Ping the client. Over a WebSocket, the pong confirms everything written before it."""
        self.transport.write_ping()
        if self._unconfirmed is not None:
            self._unconfirmed.note_ping()

    def ping_timed_out(self) -> None:
        """Close the session: the client did not answer a ping in time."""
        self.transport.reset(PING_TIMEOUT)

    def expect(self, receipt: Any) -> None:
        """See `ConnectionWriter.expect`."""
        if self._unconfirmed is None:
            self._unconfirmed = Unconfirmed()
        self._unconfirmed.add(receipt, self.transport.last_packet)
        if self.pinged_at is None and not self._was_just_pinged:
            self._ping_if_needed()

    def may_ping_again(self) -> None:
        """Ping if there are unconfirmed receipts. Called once an interval after a ping."""
        self._was_just_pinged = False
        self._ping_if_needed()

    def _ping_if_needed(self) -> None:
        """Ping for a confirmation. `Heartbeat` closes the session if the client does not answer."""
        if self._unconfirmed is None or not self._unconfirmed.needs_ping or self.closed:
            return
        if self.pinged_at is None and not self._was_just_pinged:
            self.pinged_at = asyncio.get_running_loop().time()
            self._was_just_pinged = True
            self.context.confirmations.start(self, self.pinged_at)
            self.ping()

    def note_pongs(self, count: int) -> None:
        """Handle pongs that arrived together."""
        for _ in range(count):
            self.note_pong()

    def note_pong(self) -> None:
        """Report the receipts that a pong confirms."""
        if self.pinged_at is None:
            self.receiver_ignored(1)  # the client was not pinged
            return
        self.pinged_at = None
        if self._unconfirmed is not None:
            self._report(self._unconfirmed.note_pong())
            self._ping_if_needed()

    def _report(self, confirmed: Sequence[Any]) -> None:
        if confirmed:
            self.context.on_confirmed(confirmed)
