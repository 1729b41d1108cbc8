"""Where a connection's frames go out."""

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
from socketio_app.application.events import Event, MessageSent
from socketio_app.application.live_merge import LiveMerge
from socketio_app.application.opening import Opening
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.identifiers import ConnectionId, UserId
from socketio_app.domain.messaging import Message
from socketio_app.domain.typing_board import TypingStarted, TypingStopped

log = logging.getLogger("socketio_app.socketio")


class ConnectionWriter(Protocol):
    """A connection to a client, as far as it is written to."""

    def write(self, frame: Frame) -> None:
        """Send a frame after those before it. Never waits."""
        ...

    def write_ephemeral(self, frame: Frame) -> None:
        """The same with what is worth nothing later: for who is slow to read, it is dropped."""
        ...

    def expect(self, receipt: Any) -> None:
        """Report the receipt once the client has confirmed what was written until now.

        Never, where the connection ends before.
        """
        ...

    def dismiss(self, reason: str, goodbye: Frame | None) -> None:
        """Take nothing more from the client; write a last frame, if any, and end."""
        ...

    def fail(self, error: Exception) -> None:
        """Log that a write raised, once, and close the connection."""
        ...


@attrs.define(eq=False)
class Subscriber:
    """One connection's way out. While it opens, what it is told is held back.

    So is what happens in a room while its user's membership there is being changed, and everything
    while its client catches up.
    """

    connection_id: ConnectionId
    user_id: UserId
    _writer: ConnectionWriter
    encoding: Encoding
    """How the connection's transport writes events."""
    write: Write = attrs.field(init=False)
    """Sends a frame after those before it. Never waits."""
    expect: Callable[[Message], None] = attrs.field(init=False)
    """Counts a message as delivered once the client has confirmed what was written until now."""
    direct: Write | None = attrs.field(default=None, init=False)
    """Writes one frame at once, while nothing is in the way of it."""
    direct_joined: WriteJoined | None = attrs.field(default=None, init=False)
    """The same for several frames in one piece; `None` also where the transport takes none."""
    _transport: FrameWriter | None = attrs.field(default=None, init=False)
    _merge: LiveMerge | None = attrs.field(init=False)
    """Says what may go out; `None` where everything may."""
    _forget_at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.write = self._writer.write
        self.expect = self._writer.expect
        self._merge = LiveMerge(holds_all=True)

    def set_direct(self, writer: FrameWriter | None) -> None:
        """Set what writes frames directly, if anything does."""
        self._transport = writer
        self._update_direct()

    def _update_direct(self) -> None:
        writer = self._transport if self._merge is None else None
        self.direct = None if writer is None else writer.write
        self.direct_joined = None if writer is None else writer.write_joined

    def deliver(self, event: Event, frame: Frame) -> bool:
        """Write an event's frame, or hold the event back. Whether it was written."""
        if self._merge is not None and not self._may_go(event, self._merge):
            return False
        self._send(event, frame)
        return True

    def end(self, reason: str, goodbye: Frame | None = None) -> None:
        """Take nothing more from the client, and end its connection.

        Args:
            reason: why (`endings`).
            goodbye: what it is told last, if anything.
        """
        self._writer.dismiss(reason, goodbye)

    def fail(self, error: Exception) -> None:
        """Close the connection, and no other, because a write to it raised."""
        self._writer.fail(error)

    def release(self, opening: Opening, greeting: Frame) -> None:
        """Write what the connection gets first; queue only what comes after the rest of it."""
        assert self._merge is not None  # noqa: S101  (a connection opens once)
        self.write(greeting)
        self._send_merged(self._merge.open(opening.backlog))

    def push(self, batch: Batch) -> None:
        """Write the next of what the user has missed, and what was held back behind it."""
        if self._merge is not None:
            self._send_merged(self._merge.push(batch))

    def hold_all(self) -> None:
        """Hold back everything that the connection is told."""
        self._begin_merge().hold_all()

    def release_all(self, given: Mapping[Conversation, range] | None = None) -> None:
        """Write what was held back, but for messages that were given (`LiveMerge.release_all`)."""
        if self._merge is not None:
            self._send_merged(self._merge.release_all(given))

    def hold_room(self, room: Room) -> None:
        """Hold back what the connection is told of a room."""
        self._begin_merge().hold_room(room)

    def release_room(self, room: Room, given_seq: int) -> None:
        """Write what was held back of a room, but for messages up to `given_seq`."""
        if given_seq:
            self._begin_merge()
        if self._merge is not None:
            self._send_merged(self._merge.release_room(room, given_seq))

    def skip(self, room: Room, last_seq: int) -> None:
        """Drop a room's messages up to `last_seq`, should they be published late."""
        self._begin_merge().skip(room, last_seq)

    def drop_room(self, room: Room, *, is_lagging: bool) -> None:
        """Drop what was held back of a room, and what may still come (`LiveMerge.drop_room`)."""
        if self._merge is not None:
            self._merge.drop_room(room, self.user_id, is_lagging=is_lagging)
            self._end_merge(self._merge)

    def _begin_merge(self) -> LiveMerge:
        self._merge = self._merge or LiveMerge()
        self._update_direct()
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
        if isinstance(event, PASSING):
            self._writer.write_ephemeral(frame)
        else:
            self.write(frame)

    def _may_go(self, event: Event, merge: LiveMerge) -> bool:
        accepted = merge.accepts(event)
        if accepted:
            if monotonic() > self._forget_at:
                merge.forget()
            self._end_merge(merge)
        elif merge.is_full:
            log.info("connection closed: too many events queued while the store was read")
            self.end(TOO_FAR_BEHIND)
        return accepted

    def _end_merge(self, merge: LiveMerge) -> None:
        if merge.is_over:
            self._merge = None
            self._update_direct()


PASSING = (TypingStarted, TypingStopped)
"""What is over soon in any case: a client ends by itself what it was shown (docs/wire.md)."""
