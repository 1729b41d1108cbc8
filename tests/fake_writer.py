"""A connection writer that records its frames."""

from collections.abc import Callable
from typing import Any

import attrs

from socketio_app.adapters.websocket.frames import Frame, contents
from socketio_app.adapters.websocket.interface import FrameWriter, WriteJoined


@attrs.define
class RecordingWriter:
    """Implements `ConnectionWriter` and `FrameWriter`, as strictly as real transports do.

    One `write` takes exactly one frame, as ASGI does.
    """

    frames: list[Frame] = attrs.field(factory=list)
    address: str | None = None
    is_slow: bool = False
    """Whether the client reads slowly."""
    takes_bytes: bool = False
    """Whether it accepts joined frames, as a connection that was taken over does."""
    expected: list[Any] = attrs.field(factory=list)
    """What to report once the client confirms."""
    close_reason: str | None = None
    """Why the connection was closed, if it was."""
    fault: Exception | None = None
    """The error that writes raise, if any."""
    faults: list[Exception] = attrs.field(factory=list)
    """The errors for which the connection was closed."""
    on_direct_writer: Callable[[FrameWriter | None], None] | None = None
    """Called with `None` when the connection can no longer be written to directly."""

    def write(self, frame: Frame) -> None:
        if self.faults:
            return  # closed
        if self.fault is not None:
            raise self.fault
        contents(frame)  # raises unless it is exactly one frame
        self.frames.append(frame)

    @property
    def write_joined(self) -> WriteJoined | None:
        return self._split if self.takes_bytes else None

    def write_ephemeral(self, frame: Frame) -> None:
        if not self.is_slow:
            self.write(frame)

    def expect(self, receipt: Any) -> None:
        self.expected.append(receipt)

    def dismiss(self, reason: str, last_frame: Frame | None) -> None:
        if last_frame is not None:
            self.write(last_frame)
        self.close_reason = reason

    def fail(self, error: Exception) -> None:
        self.faults.append(error)
        if self.on_direct_writer is not None:
            self.on_direct_writer(None)

    def _split(self, joined: bytes) -> None:
        while joined:
            short = joined[1]
            begin = {126: 4, 127: 10}.get(short, 2)
            end = begin + (short if begin == 2 else int.from_bytes(joined[2:begin]))
            self.write(Frame(joined[:end]))
            joined = joined[end:]
