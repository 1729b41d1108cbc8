"""HTTP long-polling (Engine.IO protocol 4, "HTTP long-polling")."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engineio.exceptions import ContentTooLongError, EngineIOError, QueueEmpty
from engineio.packet import NOOP, PING
from engineio.packet import Packet as EnginePacket
from starlette.types import Receive

from socketio_app.adapters.engineio.confirmations import Unconfirmed
from socketio_app.adapters.engineio.environ import TooLongError
from socketio_app.adapters.engineio.packets import MessagePacket
from socketio_app.adapters.engineio.poll_codec import (
    given_up_by,
    max_post_bytes,
    message_of,
    packets_in,
)
from socketio_app.adapters.engineio.poll_queue import MAX_POLL_BYTES, PollQueue
from socketio_app.adapters.websocket.close_reasons import (
    CLIENT_DISCONNECT,
    PING_TIMEOUT,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
    WRITE_FAILED,
)
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.turn import Turn
from socketio_app.application.cancellation import run_to_completion, start_task

if TYPE_CHECKING:
    from socketio_app.adapters.engineio.session import EngineSession

log = logging.getLogger("socketio_app.socketio")

FETCH_SECONDS = 5.0
"""How long a polling client's commands wait for it to fetch earlier answers."""

CONTROL_PACKET_BYTES = 64
"""Approximate size of an Engine.IO packet that is no message."""

REASONS_OF_CLIENTS = frozenset({CLIENT_DISCONNECT, PING_TIMEOUT, TRANSPORT_CLOSE, TRANSPORT_ERROR})
"""Close reasons after which no client fetches the rest of its queue."""


class PollingTransport:
    """The polling requests of a session."""

    __slots__ = (
        "_has_broken_protocol",
        "_keeps_leftovers",
        "_posting",
        "_session",
        "is_polled",
        "is_posted",
        "queue",
    )

    def __init__(self, session: "EngineSession") -> None:
        self._session = session
        self._posting: asyncio.Lock | None = None
        self._has_broken_protocol = self._keeps_leftovers = False
        self.queue = PollQueue()
        self.is_polled = False
        """Whether a poll is open."""
        self.is_posted = False
        """Whether a POST request is being read or handled."""

    direct_writer = None
    """Frames are never written directly: they wait for a poll."""

    # To the client.

    def write(self, frame: Frame) -> None:
        """Queue a message for the next poll."""
        self._put(MessagePacket(frame), len(frame))

    def write_ping(self) -> None:
        """Queue a ping."""
        self.write_packet(EnginePacket(PING))

    def write_packet(self, packet: EnginePacket) -> None:
        """Queue an Engine.IO packet that is no message."""
        self._put(packet, CONTROL_PACKET_BYTES)

    def _put(self, packet: EnginePacket, size: int) -> None:
        """Queue a packet; close the session of a client that does not poll."""
        if self._session.is_ending:
            return
        self.queue.put(packet, size)
        if self.queue.overdue_bytes > self._session.context.max_unread_bytes:
            log.info("connection closed: client does not read")
            self.queue.clear()
            self._session.end_soon(TRANSPORT_ERROR)

    @property
    def unread_bytes(self) -> int:
        """Size of what the client has not fetched."""
        return self.queue.bytes

    @property
    def is_blocked(self) -> bool:
        """Whether the client has something to fetch."""
        return self.queue.bytes > 0

    def add_receipt(self, unconfirmed: Unconfirmed, receipt: Any) -> None:
        """Add the receipt of what was queued last."""
        unconfirmed.add_polled(receipt, self.queue.put_packets)

    def take_all(self) -> Sequence[EnginePacket]:
        """Take everything from the queue, for another transport."""
        return self.queue.take_all()

    # The end.

    async def finish(self) -> None:
        """Wait until what the client has posted is handled."""
        if self._posting is not None:
            async with self._posting:
                return

    def reset(self, reason: str) -> None:
        """End the session: its client does not answer."""
        self._session.end_soon(reason)

    def fail(self, error: Exception) -> None:
        """Log that a write failed, and end the session, whose client has a gap."""
        log.error("fault while writing to a connection", exc_info=error)
        self._session.end_soon(WRITE_FAILED)

    def end(self, reason: str, _close_code: int) -> None:
        """Answer an open poll. Let a client that is still there fetch the rest of the queue."""
        self.queue.end()
        self._keeps_leftovers = not (self._has_broken_protocol or reason in REASONS_OF_CLIENTS)
        if not self.is_polled:
            self._keep_leftovers()

    def _keep_leftovers(self) -> None:
        if self._keeps_leftovers and self.queue.has_messages:
            self._session.context.leftovers.keep(self._session.sid, self.queue)

    # GET requests.

    async def poll(self, receive: Receive) -> Sequence[EnginePacket]:
        """Answer a poll.

        Two at once are an error: the server could not know which of them gets what.

        Raises:
            QueueEmpty: there is no answer, and the session has ended.
        """
        session = self._session
        if self.is_polled:
            session.end_with_notice(TRANSPORT_ERROR)
            raise QueueEmpty
        self.is_polled = True
        session.note_poll(self.queue.taken_packets)
        try:
            return await self.fetch(receive)
        except QueueEmpty:
            session.end(TRANSPORT_ERROR)
            raise
        finally:
            self.is_polled = False
            if session.closed:
                self._keep_leftovers()

    async def fetch(self, receive: Receive) -> Sequence[EnginePacket]:
        """Wait for packets; the next ping is one, and so is the end of the session.

        Returns:
            At least one packet, if need be a NOOP: clients report an empty payload as an error.

        Raises:
            QueueEmpty: the client has given the poll up. That ends its session, as it cannot know
                what it missed.
        """
        if self.queue.bytes:
            return self._take()
        filled = start_task(self.queue.filled())
        given_up = start_task(given_up_by(receive))
        try:
            await asyncio.wait([filled, given_up], return_when=asyncio.FIRST_COMPLETED)
            if given_up.done():
                raise QueueEmpty
            return self._take()
        finally:
            filled.cancel()
            given_up.cancel()

    def _take(self) -> Sequence[EnginePacket]:
        taken = self.queue.take()
        self._session.note_taken()
        return taken or [EnginePacket(NOOP)]

    # POST requests.

    async def post(self, environ: dict[str, Any]) -> None:
        """Handle the packets of a POST request.

        Raises:
            EngineIOError: it cannot be read, or another one is under way: the order of the two
                would be anybody's guess (Engine.IO protocol 4, "Sending data").
        """
        if self.is_posted:
            raise EngineIOError
        self.is_posted = True
        try:
            packets = await self._read(environ)
            # To completion, also where the server stops waiting for the answer.
            await run_to_completion(self._handle(packets))
        except EngineIOError:
            if not self._session.closed:  # otherwise there is nothing left to end
                self._has_broken_protocol = True
                raise
        finally:
            self.is_posted = False

    async def _read(self, environ: dict[str, Any]) -> Sequence[bytes]:
        max_bytes = self._session.context.max_message_bytes
        # Only an authenticated client sends several commands at once.
        is_authenticated = self._session.is_authenticated
        try:
            body: bytes | None = await environ["wsgi.input"].read(
                max_post_bytes(max_bytes) if is_authenticated else max_bytes
            )
            if body is None:
                raise EngineIOError  # a part of a request could mean something else
            return packets_in(body, max_bytes)
        except TooLongError:
            log.info("connection closed: a polling request is too large")
            raise ContentTooLongError from None

    async def _handle(self, packets: Sequence[bytes]) -> None:
        self._posting = self._posting or asyncio.Lock()
        async with self._posting:
            turn, waits = Turn(), True
            for packet in packets:
                if self._session.closed:
                    return
                await self._session.handle(message_of(packet))
                if waits and self.queue.bytes > self._max_unfetched_bytes:
                    waits = await self._wait_for_polls()
                if turn.is_over():
                    await asyncio.sleep(0)
                    turn = Turn()

    async def _wait_for_polls(self) -> bool:
        """Let commands wait while the client does not fetch earlier answers.

        Returns:
            Whether it polls. A client that polls only after its request was answered waits once.
        """
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                await self.queue.fetched(self._max_unfetched_bytes)
        except TimeoutError:
            return False
        return True

    @property
    def _max_unfetched_bytes(self) -> int:
        """Above this, commands wait: as much as one poll takes."""
        return min(MAX_POLL_BYTES, self._session.context.max_unread_bytes // 2)
