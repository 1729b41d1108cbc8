"""A WebSocket connection with buffering: writes frames and receives messages."""

import logging
from collections.abc import Callable, Sequence

from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.close_reasons import NOT_READING, WRITE_FAILED
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.inbox import Inbox, MessageHandler
from socketio_app.adapters.websocket.interface import FrameWriter, Message, WebSocket, Write

log = logging.getLogger("socketio_app.socketio")


class WebSocketConnection:
    """One client's WebSocket.

    Subclasses define what happens to pings, and at the end. They are methods and not arguments:
    bound methods would take as much memory as everything else here.

    Args:
        websocket: the WebSocket to write to.
        handler, begins_outside_tasks, groups: see `Inbox`.
        max_unread_bytes: maximum size of the frames buffered while the client does not read.
    """

    __slots__ = (
        "_inbox",
        "_is_lost",
        "_max_unread_bytes",
        "_unread",
        "_unread_bytes",
        "_websocket",
        "dropped_frames",
        "receive",
        "reset_reason",
        "write_directly",
    )

    def __init__(
        self,
        websocket: WebSocket,
        handler: MessageHandler[Message],
        *,
        begins_outside_tasks: bool,
        groups: bool,
        max_unread_bytes: int,
    ) -> None:
        self._websocket = websocket
        self._max_unread_bytes = max_unread_bytes
        self._is_lost = False
        self._inbox = Inbox(
            handler,
            websocket,
            begins_outside_tasks=begins_outside_tasks,
            size=_size,
            groups=groups,
        )
        self.receive: Callable[[Sequence[Message]], None] = self._inbox.receive
        """See `FrameHandler.receive`."""
        self._unread: list[Frame] | None = None
        self._unread_bytes = 0
        self.write_directly: Write | None = websocket.write
        """Writes a frame to the WebSocket; `None` while frames are buffered or after the end."""
        self.reset_reason: str | None = None
        """Reason for the reset, if the connection was reset."""
        self.dropped_frames = 0
        """Number of frames dropped because the client did not read."""

    def pings_received(self, count: int) -> None:
        """See `FrameHandler.pings_received`."""
        raise NotImplementedError

    def pongs_received(self, count: int) -> None:
        """See `FrameHandler.pongs_received`; by default, pongs are ignored like pings."""
        self.pings_received(count)

    def direct_writer_changed(self, writer: FrameWriter | None) -> None:
        """Note a change of `direct_writer`."""
        raise NotImplementedError

    async def closed(self) -> None:
        """Clean up: the connection is lost, and every received message was handled."""
        raise NotImplementedError

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
        if not self._is_lost:  # otherwise nothing would release the inbox
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
        """Stop writing, and call `closed` once every received message is handled."""
        self._stop_writing()
        if not self._is_lost:
            self._is_lost = True
            self._inbox.finish(self.closed)

    def _stop_writing(self) -> None:
        self._unread = None
        self._set_direct_writer(None)

    def _set_direct_writer(self, writer: FrameWriter | None) -> None:
        self.write_directly = None if writer is None else writer.write
        self.direct_writer_changed(writer)

    @property
    def direct_writer(self) -> FrameWriter | None:
        """The WebSocket, while frames can be written to it directly; `None` otherwise."""
        return None if self.write_directly is None else self._websocket


def _size(message: Message) -> int:
    return len(message[1])
