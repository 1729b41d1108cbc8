"""Interfaces between WebSockets and the code that uses them."""

from collections.abc import Callable, Sequence
from typing import Protocol

from socketio_app.adapters.websocket.frames import Frame

EXTENSION = "socketio_app.connection"
"""Key of a `TakeoverWebSocket` in the `extensions` of a WebSocket scope."""

Message = tuple[int, bytes]
"""A message's opcode, text or binary, and its payload."""

Write = Callable[[Frame], None]
"""Writes one frame after earlier ones. Never waits."""

WriteJoined = Callable[[bytes], None]
"""Writes several complete frames, joined into one `bytes`. Never waits."""

CLOSE_TIMEOUT_SECONDS = 5.0
"""Time-out for a client to read what precedes the Close frame, and to answer it."""


class FrameHandler(Protocol):
    """Handler of a WebSocket's messages and flow control."""

    def receive(self, messages: Sequence[Message]) -> None:
        """Handle text and binary messages that arrived together."""
        ...

    def pings_received(self, count: int) -> None:
        """Count pings from the client, which have been answered, and unsolicited pongs."""
        ...

    def pongs_received(self, count: int) -> None:
        """Count the client's answers to pings with `frames.PING_PAYLOAD`."""
        ...

    def pause_writing(self) -> None:
        """Stop writing: the client does not read."""
        ...

    def resume_writing(self) -> None:
        """Resume writing."""
        ...

    def flush(self) -> None:
        """Write the frames buffered for a slow reader; `connection_lost` or a close follows."""
        ...

    def connection_lost(self) -> None:
        """Stop writing: the connection is closed or closing. May be called more than once."""
        ...


class FrameWriter(Protocol):
    """Writer of frames to a client."""

    def write(self, frame: Frame) -> None:
        """Send a frame after earlier ones. Never waits."""
        ...

    @property
    def write_joined(self) -> WriteJoined | None:
        """Sends several joined frames; `None` if the transport takes one frame at a time."""
        ...


class WebSocket(FrameWriter, Protocol):
    """A WebSocket to a client, either taken over from the server or plain ASGI."""

    def set_handler(self, owner: FrameHandler) -> None:
        """Deliver everything received from now on to `owner`."""
        ...

    def pause_reading(self) -> None:
        """Stop reading from the client."""
        ...

    def resume_reading(self) -> None:
        """Read from the client again."""
        ...

    def close(self, code: int) -> None:
        """Close the WebSocket once the client has read what was written."""
        ...

    def abort(self) -> None:
        """Close the WebSocket immediately, discarding unsent frames."""
        ...


class TakeoverWebSocket(WebSocket, Protocol):
    """A WebSocket of the server that can be taken over after it is accepted."""

    def take_over(self, max_bytes: int) -> bool:
        """Take over reading and writing frames from the server; call `set_handler` next.

        Returns:
            Whether it succeeded: it fails if other code has already begun to read.
        """
        ...
