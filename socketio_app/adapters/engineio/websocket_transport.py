"""WebSocket transports of sessions (Engine.IO protocol 4, "WebSocket")."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from engineio.packet import Packet as EnginePacket

from socketio_app.adapters.engineio.poll_codec import encode_frame
from socketio_app.adapters.websocket.close_reasons import TRANSPORT_CLOSE
from socketio_app.adapters.websocket.connection import WebSocketConnection
from socketio_app.adapters.websocket.frames import TEXT, frame
from socketio_app.adapters.websocket.interface import FrameWriter, WebSocket

if TYPE_CHECKING:
    from socketio_app.adapters.engineio.client_session import ClientSession

_PING: Final = frame(TEXT, b"2")


class MessageTransport(WebSocketConnection):
    """A WebSocket that carries the messages of a session.

    Args:
        session: the session.
        websocket: an accepted WebSocket. It is to be handed to this transport.
    """

    __slots__ = ("_session",)

    def __init__(
        self,
        session: "ClientSession",
        websocket: WebSocket,
    ) -> None:
        super().__init__(
            websocket,
            session,
            begins_outside_tasks=session.context.runs_outside_tasks,
            groups=session.context.groups_sends,
            max_unread_bytes=session.context.max_unread_bytes,
        )
        self._session = session

    def pings_received(self, count: int) -> None:
        """See `FrameHandler.pings_received`."""
        self._session.receiver_ignored(count)

    def direct_writer_changed(self, writer: FrameWriter | None) -> None:
        """See `WebSocketConnection.direct_writer_changed`."""
        self._session.note_direct_writer(writer)

    async def closed(self) -> None:
        """See `WebSocketConnection.closed`."""
        self._session.context.count_dropped_frames(self.dropped_frames)
        self._session.close_now(self.reset_reason or TRANSPORT_CLOSE)

    @property
    def is_blocked(self) -> bool:
        """Whether the client does not read."""
        return self.write_directly is None

    last_packet: Final = None
    """See `Transport.last_packet`: pongs confirm."""

    def session_closed(self, _reason: str, close_code: int) -> None:
        """Close the WebSocket after sending the frames buffered for a slow reader."""
        self.close(close_code)


class WebSocketTransport(MessageTransport):
    """A WebSocket that carries Engine.IO packets."""

    __slots__ = ()

    def write_ping(self) -> None:
        """Send an Engine.IO ping, which is a message."""
        self.write(_PING)

    def write_packet(self, packet: EnginePacket) -> None:
        """Send an Engine.IO packet that is not a message."""
        self.write(encode_frame(packet))

    def take_all(self) -> Sequence[EnginePacket]:
        """Return nothing: a WebSocket's packets never move to another transport."""
        return ()
