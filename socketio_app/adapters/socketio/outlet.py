"""Where a connection's frames go out."""

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from socketio_app.adapters.socketio.frames import Frame
from socketio_app.adapters.socketio.packets import event_frame
from socketio_app.adapters.socketio.websocket import FrameWriter, Write, WriteJoined
from socketio_app.adapters.socketio.wire import outgoing
from socketio_app.application.events import Event, MessageSent
from socketio_app.application.handover import Handover, Opening
from socketio_app.domain.identifiers import ConnectionId, UserId
from socketio_app.domain.messaging import Message
from socketio_app.domain.typing_board import TypingStarted, TypingStopped


class Way(Protocol):
    """A connection to a client, as far as it is written to."""

    def write(self, frame: Frame) -> None:
        """Send a frame after those before it. Never waits."""
        ...

    def write_passing(self, frame: Frame) -> None:
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
class Outlet:
    """One connection's way out. While it opens, what it is told is held back."""

    connection_id: ConnectionId
    user_id: UserId
    _way: Way
    write: Write = attrs.field(init=False)
    """Sends a frame after those before it. Never waits."""
    expect: Callable[[Message], None] = attrs.field(init=False)
    """Counts a message as delivered once the client has confirmed what was written until now."""
    direct: Write | None = attrs.field(default=None, init=False)
    """Writes one frame at once, while nothing is in the way of it."""
    direct_joined: WriteJoined | None = attrs.field(default=None, init=False)
    """The same for several frames in one piece; `None` also where the transport takes none."""
    _transport: FrameWriter | None = attrs.field(default=None, init=False)
    _handover: Handover | None = attrs.field(factory=Handover, init=False)

    def __attrs_post_init__(self) -> None:
        self.write = self._way.write
        self.expect = self._way.expect

    def set_direct(self, writer: FrameWriter | None) -> None:
        """Set what writes frames directly, if anything does."""
        self._transport = writer
        self._update_direct()

    def _update_direct(self) -> None:
        writer = self._transport if self._handover is None else None
        self.direct = None if writer is None else writer.write
        self.direct_joined = None if writer is None else writer.write_joined

    def tell(self, event: Event, frame: Frame) -> bool:
        """Write an event's frame, or hold the event back. Whether it was written."""
        if self._handover is not None and not self._may_go(event, self._handover):
            return False
        if isinstance(event, PASSING):
            self._way.write_passing(frame)
        else:
            self.write(frame)
        return True

    def end(self, reason: str, goodbye: Frame | None = None) -> None:
        """Take nothing more from the client, and end its connection.

        Args:
            reason: why (`endings`).
            goodbye: what it is told last, if anything.
        """
        self._way.dismiss(reason, goodbye)

    def fail(self, error: Exception) -> None:
        """Close the connection, and no other, because a write to it raised."""
        self._way.fail(error)

    def release(self, opening: Opening) -> None:
        """Write what the connection is to have first; hold nothing back any more."""
        assert self._handover is not None  # noqa: S101  (a connection opens once)
        for event in self._handover.release(opening):
            self.write(frame_of(event))
            if isinstance(event, MessageSent) and event.message.to_user_id == self.user_id:
                self.expect(event.message)
        self._end_handover(self._handover)

    def _may_go(self, event: Event, handover: Handover) -> bool:
        admitted = handover.admits(event)
        self._end_handover(handover)
        return admitted

    def _end_handover(self, handover: Handover) -> None:
        if handover.is_over:
            self._handover = None
            self._update_direct()


PASSING = (TypingStarted, TypingStopped)
"""What is over soon in any case: a client ends by itself what it was shown (docs/wire.md)."""


def frame_of(event: Event) -> Frame:
    """The frame that carries an event."""
    return event_frame(*outgoing.EVENTS[type(event)](event))
