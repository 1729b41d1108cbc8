"""What a WebSocket is to Engine.IO, whoever made it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from socketio_app.adapters.websocket.frames import Frame

EXTENSION = "socketio_app.connection"
"""Key of a `TakeoverWebSocket` in the `extensions` of a WebSocket scope."""

Message = tuple[int, bytes]
"""The opcode, text or binary, and the payload."""

Write = Callable[[Frame], None]
"""Writes one frame after those before it. Never waits."""

WriteJoined = Callable[[bytes], None]
"""Writes several whole frames, joined into one piece of bytes. Never waits."""

CLOSE_SECONDS = 5.0
"""How long a client has to read what was written before the Close frame, and to answer it."""


class FrameHandler(Protocol):
    """Who has taken a connection over."""

    def receive(self, messages: Sequence[Message]) -> None:
        """Take the messages, text or binary, that came together."""
        ...

    def ignored(self, count: int) -> None:
        """Note that the client sent some pings, which have been answered."""
        ...

    def ponged(self, count: int) -> None:
        """Note that the client sent some pongs."""
        ...

    def pause_writing(self) -> None:
        """Write no more for now: the client does not read."""
        ...

    def resume_writing(self) -> None:
        """Go on writing."""
        ...

    def flush(self) -> None:
        """Write what is kept for a client that does not read; `lost` or a close follows."""
        ...

    def lost(self) -> None:
        """The connection is gone, or about to be: write nothing more. May be called again."""
        ...


class FrameWriter(Protocol):
    """What writes frames to a client."""

    def write(self, frame: Frame) -> None:
        """Send a frame after those before it. Never waits."""
        ...

    @property
    def write_joined(self) -> WriteJoined | None:
        """Sends several joined frames; `None` where the transport takes one frame at a time."""
        ...


class WebSocket(FrameWriter, Protocol):
    """A WebSocket to a client: taken over from the server, or any that ASGI has."""

    def hand_to(self, owner: FrameHandler) -> None:
        """From now on what comes is the owner's."""
        ...

    def pause_reading(self) -> None:
        """Let the client wait with what it sends."""
        ...

    def resume_reading(self) -> None:
        """Let it come again."""
        ...

    def close(self, code: int) -> None:
        """Close it when what was written has been read."""
        ...

    def abort(self) -> None:
        """Close it now."""
        ...


class TakeoverWebSocket(WebSocket, Protocol):
    """A WebSocket of the server's own that may be taken over, after the accept."""

    def take_over(self, max_bytes: int) -> bool:
        """Read and write frames from now on; call `hand_to` next.

        Returns:
            Whether it could: not where somebody else has begun to read from it.
        """
        ...
