"""A way to a client that keeps what is written to it."""

import attrs

from socketio_app.adapters.socketio.frames import Frame, contents
from socketio_app.adapters.socketio.websocket import WriteJoined


@attrs.define
class KeptWay:
    """Implements `Way` and `FrameWriter`, and is as strict as real transports about what it takes.

    One `write` takes exactly one frame, as ASGI does.
    """

    frames: list[Frame] = attrs.field(factory=list)
    is_slow: bool = False
    """Whether its client is slow to read."""
    takes_bytes: bool = False
    """Whether it takes joined frames, as a connection that was taken over does."""
    ended: str | None = None
    """Why it was ended, if it was."""

    def write(self, frame: Frame) -> None:
        contents(frame)  # raises for anything else than one frame
        self.frames.append(frame)

    @property
    def write_joined(self) -> WriteJoined | None:
        return self._split if self.takes_bytes else None

    def write_passing(self, frame: Frame) -> None:
        if not self.is_slow:
            self.write(frame)

    def dismiss(self, reason: str, goodbye: Frame | None) -> None:
        if goodbye is not None:
            self.write(goodbye)
        self.ended = reason

    def _split(self, joined: bytes) -> None:
        while joined:
            short = joined[1]
            begin = {126: 4, 127: 10}.get(short, 2)
            end = begin + (short if begin == 2 else int.from_bytes(joined[2:begin]))
            self.write(Frame(joined[:end]))
            joined = joined[end:]
