"""HTTP long-polling (Engine.IO protocol 4, "HTTP long-polling")."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engineio.exceptions import ContentTooLongError, EngineIOError, QueueEmpty
from engineio.packet import NOOP, PING
from engineio.packet import Packet as EnginePacket
from starlette.types import Receive

from socketio_app.adapters.engineio.environ import BodyTooLongError
from socketio_app.adapters.engineio.packets import MessagePacket
from socketio_app.adapters.engineio.poll_codec import (
    decode_message,
    max_post_bytes,
    split_packets,
    wait_for_disconnect,
)
from socketio_app.adapters.engineio.poll_queue import MAX_POLL_BYTES, PollQueue
from socketio_app.adapters.websocket.close_reasons import (
    CLIENT_DISCONNECT,
    NOT_READING,
    PING_TIMEOUT,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
    WRITE_FAILED,
)
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.handling import complete, start
from socketio_app.adapters.websocket.turn import Turn
from socketio_app.application.cancellation import run_to_completion, start_task

if TYPE_CHECKING:
    from socketio_app.adapters.engineio.session import EngineSession

log = logging.getLogger("socketio_app.socketio")

FETCH_TIMEOUT_SECONDS = 5.0
"""Maximum time a polling client's commands wait for it to fetch earlier responses."""

CONTROL_PACKET_BYTES = 64
"""Approximate size of an Engine.IO packet that is not a message."""

CLIENT_CLOSE_REASONS = frozenset(
    {CLIENT_DISCONNECT, NOT_READING, PING_TIMEOUT, TRANSPORT_CLOSE, TRANSPORT_ERROR}
)
"""Close reasons after which a client does not fetch the rest of its queue."""


class PollingTransport:
    """The polling transport of a session."""

    __slots__ = (
        "_has_violated_protocol",
        "_posting",
        "_retains_packets",
        "_session",
        "is_polled",
        "is_posted",
        "queue",
    )

    def __init__(self, session: "EngineSession") -> None:
        self._session = session
        self._posting: asyncio.Lock | None = None
        self._has_violated_protocol = self._retains_packets = False
        self.queue = PollQueue()
        self.is_polled = False
        """Whether a poll is open."""
        self.is_posted = False
        """Whether a POST request is being read or handled."""

    direct_writer = None
    """Always `None`: frames are queued until a poll."""

    # To the client.

    def write(self, frame: Frame) -> None:
        """Queue a message for the next poll."""
        self._put(MessagePacket(frame), len(frame))

    def write_ping(self) -> None:
        """Queue a ping."""
        self.write_packet(EnginePacket(PING))

    def write_packet(self, packet: EnginePacket) -> None:
        """Queue an Engine.IO packet that is not a message."""
        self._put(packet, CONTROL_PACKET_BYTES)

    def _put(self, packet: EnginePacket, size: int) -> None:
        """Queue a packet; close the session if the client does not poll."""
        if self._session.is_closing:
            return
        self.queue.put(packet, size)
        if self.queue.overdue_bytes > self._session.context.max_unread_bytes:
            log.info("connection closed: client does not read")
            self._session.context.count_dropped_frames(len(self.queue.take_all()))
            self._session.close_soon(NOT_READING)

    @property
    def unread_bytes(self) -> int:
        """Approximate size of the packets that the client has not fetched, in bytes."""
        return self.queue.bytes

    @property
    def is_blocked(self) -> bool:
        """Whether packets are queued."""
        return self.queue.bytes > 0

    @property
    def last_packet(self) -> int:
        """See `Transport.last_packet`: the poll after the one that fetches it confirms."""
        return self.queue.put_packets

    def take_all(self) -> Sequence[EnginePacket]:
        """Take all queued packets, for another transport."""
        return self.queue.take_all()

    # Closing.

    async def finish(self) -> None:
        """Wait until the packets of a POST request in progress are handled."""
        if self._posting is not None:
            async with self._posting:
                return

    def reset(self, reason: str) -> None:
        """Close the session: its client does not respond."""
        self._session.close_soon(reason)

    def fail(self, error: Exception) -> None:
        """Log a failed write and close the session, whose client has missed a message."""
        log.error("internal error while writing to a connection", exc_info=error)
        self._session.close_soon(WRITE_FAILED)

    def session_closed(self, reason: str, _close_code: int) -> None:
        """Answer an open poll. A client that is still connected can fetch the rest of the queue."""
        self.queue.end()
        self._retains_packets = not (self._has_violated_protocol or reason in CLIENT_CLOSE_REASONS)
        if not self.is_polled:
            self._retain_packets()

    def _retain_packets(self) -> None:
        if self._retains_packets and self.queue.has_messages:
            self._session.context.remaining_packets.keep(self._session.sid, self.queue)

    # GET requests.

    async def poll(self, receive: Receive) -> Sequence[EnginePacket]:
        """Answer a poll.

        Two concurrent polls are an error: it would be undefined which of them gets which packet.

        Raises:
            QueueEmpty: the client has given up the poll or sent two; the session is closed.
        """
        session = self._session
        if self.is_polled:
            session.close_with_packet(TRANSPORT_ERROR)
            raise QueueEmpty
        self.is_polled = True
        session.note_poll(self.queue.taken_packets)
        try:
            return await self.fetch(receive)
        except QueueEmpty:
            session.close_now(TRANSPORT_ERROR)
            raise
        finally:
            self.is_polled = False
            if session.closed:
                self._retain_packets()

    async def fetch(self, receive: Receive) -> Sequence[EnginePacket]:
        """Wait for packets. The next ping or closing the session ends the wait.

        Returns:
            At least one packet, if necessary a NOOP: clients treat an empty payload as an error.

        Raises:
            QueueEmpty: the client has given up the poll. This closes its session, because the
                client cannot know which packets it missed.
        """
        if self.queue.bytes:
            return self._take()
        filled = start_task(self.queue.filled())
        given_up = start_task(wait_for_disconnect(receive))
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
        self._session.note_received()
        return taken or [EnginePacket(NOOP)]

    # POST requests.

    async def post(self, environ: dict[str, Any]) -> None:
        """Handle the packets of a POST request.

        Raises:
            EngineIOError: the request cannot be read, or another one is in progress: the order of
                the two would be undefined (Engine.IO protocol 4, "Sending data").
        """
        if self.is_posted:
            raise EngineIOError
        self.is_posted = True
        try:
            packets = await self._read(environ)
            # To completion, even if the server stops waiting for the response.
            await run_to_completion(self._handle(packets))
        except EngineIOError:
            if not self._session.closed:  # otherwise there is nothing left to close
                self._has_violated_protocol = True
                raise
        finally:
            self.is_posted = False

    async def _read(self, environ: dict[str, Any]) -> Sequence[bytes]:
        max_bytes = self._session.context.max_message_bytes
        # Only authenticated clients need to send several large packets at once.
        is_authenticated = self._session.is_authenticated
        try:
            body: bytes | None = await environ["wsgi.input"].read(
                max_post_bytes(max_bytes) if is_authenticated else max_bytes
            )
            if body is None:
                raise EngineIOError  # a truncated request could have another meaning
            return split_packets(body, max_bytes)
        except BodyTooLongError:
            log.info("connection closed: polling request too large")
            raise ContentTooLongError from None

    async def _handle(self, packets: Sequence[bytes]) -> None:
        self._posting = self._posting or asyncio.Lock()
        async with self._posting:
            turn, can_wait = Turn(), True
            for packet in packets:
                if self._session.closed:
                    return
                work = start(self._session.receive, decode_message(packet))
                if work is not None:
                    await complete(work)
                if can_wait and self.queue.bytes > self._max_unfetched_bytes:
                    can_wait = await self._wait_for_polls()
                if turn.is_over():
                    await asyncio.sleep(0)
                    turn = Turn()

    async def _wait_for_polls(self) -> bool:
        """Delay commands while the client does not fetch earlier responses.

        Returns:
            Whether it fetched them in time. A client that polls only after its POST request is
            answered is delayed only once.
        """
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                await self.queue.fetched(self._max_unfetched_bytes)
        except TimeoutError:
            return False
        return True

    @property
    def _max_unfetched_bytes(self) -> int:
        """High-water mark of unfetched bytes, about one poll; above it, commands are delayed."""
        return min(MAX_POLL_BYTES, self._session.context.max_unread_bytes // 2)
