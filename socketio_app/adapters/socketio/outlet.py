"""Where a connection's frames go out."""

from collections.abc import Sequence
from typing import Protocol

import attrs

from socketio_app.adapters.socketio.frames import Frame
from socketio_app.adapters.socketio.packets import event_frame
from socketio_app.adapters.socketio.websocket import FrameWriter, Write, WriteJoined
from socketio_app.adapters.socketio.wire import outgoing
from socketio_app.application.events import Event
from socketio_app.application.handover import Handover, Opening
from socketio_app.domain.identifiers import ConnectionId, UserId
from socketio_app.domain.typing_board import TypingStarted, TypingStopped


class Way(Protocol):
    """A connection to a client, as far as it is written to."""

    def write(self, frame: Frame) -> None:
        """Send a frame after those before it. Never waits."""
        ...

    def write_passing(self, frame: Frame) -> None:
        """The same with what is worth nothing later: for who is slow to read, it is dropped."""
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
    direct: Write | None = attrs.field(default=None, init=False)
    """Writes one frame at once, while nothing is in the way of it."""
    direct_joined: WriteJoined | None = attrs.field(default=None, init=False)
    """The same for several frames in one piece; `None` also where the transport takes none."""
    _transport: FrameWriter | None = attrs.field(default=None, init=False)
    _handover: Handover | None = attrs.field(factory=Handover, init=False)

    def __attrs_post_init__(self) -> None:
        self.write = self._way.write

    def set_direct(self, writer: FrameWriter | None) -> None:
        """Set what writes frames directly, if anything does."""
        self._transport = writer
        self._update_direct()

    def _update_direct(self) -> None:
        writer = self._transport if self._handover is None else None
        self.direct = None if writer is None else writer.write
        self.direct_joined = None if writer is None else writer.write_joined

    def tell(self, event: Event, frame: Frame) -> None:
        """Write an event's frame, or hold the event back."""
        if self._handover is None or self._may_go(event, self._handover):
            if isinstance(event, PASSING):
                self._way.write_passing(frame)
            else:
                self.write(frame)

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

    def release(self, opening: Opening) -> Sequence[Event]:
        """Write what the connection is to have first; hold nothing back any more.

        Returns:
            The events written.
        """
        assert self._handover is not None  # noqa: S101  (a connection opens once)
        events = self._handover.release(opening)
        for event in events:
            self.write(frame_of(event))
        self._end_handover(self._handover)
        return events

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
