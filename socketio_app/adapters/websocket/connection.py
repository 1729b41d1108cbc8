"""A WebSocket connection with buffering: writes frames and receives messages."""

import logging
from collections.abc import Callable, Sequence

from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.close_reasons import NOT_READING, WRITE_FAILED
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.handling import Work
from socketio_app.adapters.websocket.inbox import Inbox
from socketio_app.adapters.websocket.interface import FrameWriter, Message, WebSocket, Write

log = logging.getLogger("socketio_app.socketio")


class WebSocketConnection:
    """One client's WebSocket.

    Args:
        websocket: the WebSocket to write to.
        handle: see `Inbox`.
        at_once, overtakes: see `Inbox`.
        max_unread_bytes: maximum size of the frames buffered while the client does not read.
        on_ping: see `FrameHandler.pings_received`.
        on_pong: see `FrameHandler.pongs_received`; by default, pongs are ignored like pings.
        on_connection_lost: called last, after every received message was handled.
    """

    def __init__(
        self,
        websocket: WebSocket,
        handle: Callable[[Message], Work | None],
        *,
        at_once: Callable[[Message], bool],
        overtakes: Callable[[Message], bool],
        max_unread_bytes: int,
        on_ping: Callable[[int], None],
        on_pong: Callable[[int], None] | None = None,
        on_connection_lost: Callable[[], Work],
    ) -> None:
        self._websocket = websocket
        self._max_unread_bytes = max_unread_bytes
        self._on_connection_lost: Callable[[], Work] | None = on_connection_lost
        self._inbox = Inbox(
            handle,
            at_once=at_once,
            size=_size,
            overtakes=overtakes,
            pause=websocket.pause_reading,
            resume=websocket.resume_reading,
        )
        self.receive: Callable[[Sequence[Message]], None] = self._inbox.receive
        """See `FrameHandler.receive`."""
        self.pings_received: Callable[[int], None] = on_ping
        """See `FrameHandler.pings_received`."""
        self.pongs_received: Callable[[int], None] = on_pong or on_ping
        """See `FrameHandler.pongs_received`."""
        self._unread: list[Frame] | None = None
        self._unread_bytes = 0
        self.write_directly: Write | None = websocket.write
        """Writes a frame to the WebSocket; `None` while frames are buffered or after the end."""
        self.on_direct_writer: Callable[[FrameWriter | None], None] | None = None
        """Called whenever `direct_writer` changes, with its new value."""
        self.reset_reason: str | None = None
        """Reason for the reset, if the connection was reset."""
        self.dropped_frames = 0
        """Number of frames dropped because the client did not read."""

    def write(self, frame: Frame) -> None:
        """Send a frame after earlier ones, or buffer it until the client reads again."""
        if self.write_directly is not None:
            try:
                self.write_directly(frame)
            except Exception as error:  # noqa: BLE001  (`fail` logs it)
                self.fail(error)
        elif self._unread is not None:
            # A single reply may be larger than the limit; there is never more than one.
            is_full = self._unread_bytes > self._max_unread_bytes
            self._unread.append(frame)
            self._unread_bytes += len(frame)
            if is_full:
                log.info("connection closed: client does not read")
                self.dropped_frames = len(self._unread)
                self.reset(NOT_READING)

    async def finish(self) -> None:
        """Stop reading, and wait until every received message is handled."""
        self._inbox.stop_reading()
        await self._inbox.join()

    def close(self, code: int = frames.NORMAL_CLOSURE) -> None:
        """Close the connection after sending the buffered frames."""
        self.flush()
        self._stop_writing()
        self._websocket.close(code)

    @property
    def unread_bytes(self) -> int:
        """Size of the frames buffered for the client."""
        return 0 if self._unread is None else self._unread_bytes

    def reset(self, reason: str) -> None:
        """Abort the connection, discarding buffered frames."""
        self.reset_reason = reason
        self._stop_writing()
        self._websocket.abort()

    def fail(self, error: Exception) -> None:
        """Log a failed write and abort the connection, whose client has missed a frame."""
        log.error("internal error while writing to a connection", exc_info=error)
        self.reset(WRITE_FAILED)

    # Called by the WebSocket (`FrameHandler`).

    def pause_writing(self) -> None:
        """Buffer frames and hold incoming commands while the client does not read."""
        if self._on_connection_lost is not None:  # otherwise nothing would release the inbox
            self._inbox.hold()
        if self.write_directly is not None:
            self._unread, self._unread_bytes = [], 0
            self._set_direct_writer(None)

    def resume_writing(self) -> None:
        """Write the buffered frames and handle commands again."""
        buffered, self._unread = self._unread, None
        if buffered is not None:
            self._set_direct_writer(self._websocket)
            for frame in buffered:
                self.write(frame)
            if self.write_directly is not None:
                self._inbox.release()

    def flush(self) -> None:
        """Write the buffered frames although the client does not read: the connection is closing.

        The WebSocket bounds how long sending them takes.
        """
        buffered, self._unread = self._unread, None
        try:
            for frame in buffered or ():
                self._websocket.write(frame)
        except Exception as error:  # noqa: BLE001  (`fail` logs it)
            self.fail(error)

    def connection_lost(self) -> None:
        """Stop writing, and call `on_connection_lost` once every received message is handled."""
        self._stop_writing()
        on_connection_lost, self._on_connection_lost = self._on_connection_lost, None
        if on_connection_lost is not None:
            self._inbox.finish(on_connection_lost)

    def _stop_writing(self) -> None:
        self._unread = None
        self._set_direct_writer(None)

    def _set_direct_writer(self, writer: FrameWriter | None) -> None:
        self.write_directly = None if writer is None else writer.write
        if self.on_direct_writer is not None:
            self.on_direct_writer(writer)

    @property
    def direct_writer(self) -> FrameWriter | None:
        """The WebSocket, while frames can be written to it directly; `None` otherwise."""
        return None if self.write_directly is None else self._websocket


def _size(message: Message) -> int:
    return len(message[1])
