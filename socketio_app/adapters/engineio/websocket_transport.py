"""WebSocket transports of sessions (Engine.IO protocol 4, "WebSocket")."""

from collections.abc import Sequence
from typing import Any, Final

from engineio.packet import Packet as EnginePacket

from socketio_app.adapters.engineio.confirmations import Unconfirmed
from socketio_app.adapters.engineio.poll_codec import frame_of
from socketio_app.adapters.websocket.connection import WebSocketConnection
from socketio_app.adapters.websocket.frames import TEXT, frame

_PING: Final = frame(TEXT, b"2")


class MessageTransport(WebSocketConnection):
    """A WebSocket that carries the messages of a session."""

    @property
    def is_blocked(self) -> bool:
        """Whether the client does not read."""
        return self.direct is None

    def add_receipt(self, unconfirmed: Unconfirmed, receipt: Any) -> None:
        """Add a receipt for the message written last."""
        unconfirmed.add_written(receipt)

    def end(self, _reason: str, close_code: int) -> None:
        """Close the WebSocket after sending the frames buffered for a slow reader."""
        self.close(close_code)


class WebSocketTransport(MessageTransport):
    """A WebSocket that carries Engine.IO packets."""

    def write_ping(self) -> None:
        """Send an Engine.IO ping, which is a message."""
        self.write(_PING)

    def write_packet(self, packet: EnginePacket) -> None:
        """Send an Engine.IO packet that is not a message."""
        self.write(frame_of(packet))

    def take_all(self) -> Sequence[EnginePacket]:
        """Return nothing: a WebSocket's packets never move to another transport."""
        return ()
