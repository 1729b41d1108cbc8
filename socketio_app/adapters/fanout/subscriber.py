"""Connections as the hub sees them: subscribers that events are written to."""

import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Protocol

import attrs

from socketio_app.adapters.fanout.encoding import Encoding
from socketio_app.adapters.fanout.recent_joins import LATE_SECONDS
from socketio_app.adapters.websocket.close_reasons import TOO_FAR_BEHIND
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.interface import FrameWriter, Write, WriteJoined
from socketio_app.application.backlog import Batch
from socketio_app.application.events import EPHEMERAL, Event, MessageSent
from socketio_app.application.live_merge import LiveMerge
from socketio_app.application.opening import Opening
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.identifiers import ConnectionId, UserId
from socketio_app.domain.messaging import Message

log = logging.getLogger("socketio_app.socketio")


class ConnectionWriter(Protocol):
    """The writing side of a connection to a client."""

    @property
    def address(self) -> str | None:
        """The client's IPv4 address or IPv6 network; `None` if unknown."""
        ...

    def write(self, frame: Frame) -> None:
        """Send a frame after earlier ones. Never waits."""
        ...

    def write_ephemeral(self, frame: Frame) -> None:
        """Send a frame that soon loses its value. Drop it if the client is slow to read."""
        ...

    def expect(self, receipt: Any) -> None:
        """Report the receipt once the client has confirmed everything written so far.

        The receipt is dropped if the connection closes before that.
        """
        ...

    def dismiss(self, reason: str, last_frame: Frame | None) -> None:
        """Ignore further input, write a last frame, if any, and close the connection."""
        ...

    def fail(self, error: Exception) -> None:
        """Log the error of a write, once, and close the connection."""
        ...


@attrs.define(eq=False)
class Subscriber:
    """A connection that receives events.

    All events are held back while the connection opens and while its client catches up. The events
    of a room are held back while the user's membership in it changes.
    """

    connection_id: ConnectionId
    user_id: UserId
    _writer: ConnectionWriter
    encoding: Encoding
    """Encoding of events for the connection's transport."""
    write: Write = attrs.field(init=False)
    """Sends a frame after earlier ones. Never waits."""
    expect: Callable[[Message], None] = attrs.field(init=False)
    """Counts a message as delivered once the client has confirmed everything written so far."""
    write_directly: Write | None = attrs.field(default=None, init=False)
    """Writes a frame immediately; `None` while events are held back or queued."""
    write_joined_directly: WriteJoined | None = attrs.field(default=None, init=False)
    """The same for several joined frames; `None` also if the transport does not support them."""
    _transport: FrameWriter | None = attrs.field(default=None, init=False)
    _merge: LiveMerge | None = attrs.field(init=False)
    """Decides which events may be sent; `None` while all may."""
    _forget_at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.write = self._writer.write
        self.expect = self._writer.expect
        self._merge = LiveMerge(holds_all=True)

    @property
    def address(self) -> str | None:
        """The client's IPv4 address or IPv6 network; `None` if unknown."""
        return self._writer.address

    def set_direct_writer(self, writer: FrameWriter | None) -> None:
        """Set what writes frames directly, if anything."""
        self._transport = writer
        self._update_direct_writes()

    def _update_direct_writes(self) -> None:
        writer = self._transport if self._merge is None else None
        self.write_directly = None if writer is None else writer.write
        self.write_joined_directly = None if writer is None else writer.write_joined

    def deliver(self, event: Event, frame: Frame) -> bool:
        """Write an event's frame or hold the event back; return whether it was written."""
        if self._merge is not None and not self._may_send(event, self._merge):
            return False
        self._send(event, frame)
        return True

    def dismiss(self, reason: str, last_frame: Frame | None = None) -> None:
        """Ignore further input from the client, and close the connection.

        Args:
            reason: one of `close_reasons`.
            last_frame: the last frame to write, if any.
        """
        self._writer.dismiss(reason, last_frame)

    def fail(self, error: Exception) -> None:
        """Close this connection because a write to it raised an exception."""
        self._writer.fail(error)

    def release(self, opening: Opening, greeting: Frame) -> None:
        """Write the greeting and the first missed messages; hold back only what must follow."""
        assert self._merge is not None  # noqa: S101  (a connection opens once)
        self.write(greeting)
        self._send_merged(self._merge.open(opening.backlog))

    def push(self, batch: Batch) -> None:
        """Write the next batch of missed messages, and the events held back until then."""
        if self._merge is not None:
            self._send_merged(self._merge.push(batch))

    def hold_all(self) -> None:
        """Hold back all events."""
        self._begin_merge().hold_all()

    def release_all(self, given: Mapping[Conversation, range] | None = None) -> None:
        """Write the events held back, except `given` messages (`LiveMerge.release_all`)."""
        if self._merge is not None:
            self._send_merged(self._merge.release_all(given))

    def hold_room(self, room: Room) -> None:
        """Hold back the events of a room."""
        self._begin_merge().hold_room(room)

    def release_room(self, room: Room, given_seq: int) -> None:
        """Write a room's events that were held back, except messages up to `given_seq`."""
        if given_seq:
            self._begin_merge()
        if self._merge is not None:
            self._send_merged(self._merge.release_room(room, given_seq))

    def skip(self, room: Room, last_seq: int) -> None:
        """Drop a room's messages up to `last_seq` if they are published late."""
        self._begin_merge().skip(room, last_seq)

    def drop_room(self, room: Room, *, is_lagging: bool) -> None:
        """Drop a room's events: those held back, and late ones (`LiveMerge.drop_room`)."""
        if self._merge is not None:
            self._merge.drop_room(room, self.user_id, is_lagging=is_lagging)
            self._end_merge(self._merge)

    def _begin_merge(self) -> LiveMerge:
        self._merge = self._merge or LiveMerge()
        self._update_direct_writes()
        return self._merge

    def _send_merged(self, events: Sequence[Event]) -> None:
        for event in events:
            self._send(event, self.encoding.event_frame(event))
            if isinstance(event, MessageSent) and event.message.to_user_id == self.user_id:
                self.expect(event.message)
        self._forget_at = monotonic() + LATE_SECONDS
        if self._merge is not None:
            self._end_merge(self._merge)

    def _send(self, event: Event, frame: Frame) -> None:
        if isinstance(event, EPHEMERAL):
            self._writer.write_ephemeral(frame)
        else:
            self.write(frame)

    def _may_send(self, event: Event, merge: LiveMerge) -> bool:
        accepted = merge.admit(event)
        if accepted:
            if monotonic() > self._forget_at:
                merge.forget()
            self._end_merge(merge)
        elif merge.is_full:
            log.info("connection closed: too many events queued while the store was read")
            self.dismiss(TOO_FAR_BEHIND)
        return accepted

    def _end_merge(self, merge: LiveMerge) -> None:
        if merge.is_over:
            self._merge = None
            self._update_direct_writes()
