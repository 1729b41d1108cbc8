"""A WebSocket that an Engine.IO connection has taken over: frames out, messages in."""

import logging
from collections.abc import Callable, Sequence

from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.close_reasons import NOT_READING, WRITE_FAILED
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.inbox import Inbox, Work
from socketio_app.adapters.websocket.interface import FrameWriter, Message, WebSocket, Write

log = logging.getLogger("socketio_app.socketio")


class WebSocketConnection:
    """One client's WebSocket.

    Args:
        websocket: it.
        handle: handles a message.
        at_once, overtakes: see `Inbox`.
        most_unread_bytes: how much may wait for a client that does not read.
        on_ignored: see `FrameHandler.ignored`.
        on_pong: see `FrameHandler.ponged`; without it, pongs are ignored, too.
        on_lost: the last thing to do, when the connection is gone and all that came is handled.
    """

    def __init__(
        self,
        websocket: WebSocket,
        handle: Callable[[Message], Work],
        *,
        at_once: Callable[[Message], bool],
        overtakes: Callable[[Message], bool],
        max_unread_bytes: int,
        on_ignored: Callable[[int], None],
        on_pong: Callable[[int], None] | None = None,
        on_lost: Callable[[], Work],
    ) -> None:
        self._websocket = websocket
        self._max_unread_bytes = max_unread_bytes
        self._on_lost: Callable[[], Work] | None = on_lost
        self._inbox = Inbox(
            handle,
            at_once=at_once,
            size=_size,
            overtakes=overtakes,
            pause=websocket.pause_reading,
            resume=websocket.resume_reading,
        )
        self.receive: Callable[[Sequence[Message]], None] = self._inbox.take
        """Takes what came."""
        self.ignored: Callable[[int], None] = on_ignored
        """See `FrameHandler.ignored`."""
        self.ponged: Callable[[int], None] = on_pong or on_ignored
        """See `FrameHandler.ponged`."""
        self._unread: list[Frame] | None = None
        self._unread_bytes = 0
        self.direct: Write | None = websocket.write
        """Writes a frame, while nothing is in the way of it."""
        self.on_direct: Callable[[FrameWriter | None], None] | None = None
        """Called with what writes frames directly, if anything, whenever that changes."""
        self.ending: str | None = None
        """Why it was cut, if it was."""
        self.dropped = 0
        """How many frames were dropped, as the client did not read."""

    def write(self, frame: Frame) -> None:
        """Send a frame after those before it, or keep it until the client reads again."""
        if self.direct is not None:
            try:
                self.direct(frame)
            except Exception as error:  # noqa: BLE001  (logged there)
                self.fail(error)
        elif self._unread is not None:
            # One answer may be larger than that; there is never more than one.
            is_full = self._unread_bytes > self._max_unread_bytes
            self._unread.append(frame)
            self._unread_bytes += len(frame)
            if is_full:
                log.info("connection closed: client does not read")
                self.dropped = len(self._unread)
                self.reset(NOT_READING)

    async def finish(self) -> None:
        """Read no more, and wait until all that came is handled."""
        self._inbox.stop_reading()
        await self._inbox.settled()

    def close(self, code: int = frames.NORMAL_CLOSURE) -> None:
        """Close it, after what was kept for a client that did not read."""
        self.flush()
        self._stop_writing()
        self._websocket.close(code)

    @property
    def unread_bytes(self) -> int:
        """How much waits for the client to read."""
        return 0 if self._unread is None else self._unread_bytes

    def reset(self, why: str) -> None:
        """Cut it now."""
        self.ending = why
        self._stop_writing()
        self._websocket.abort()

    def fail(self, error: Exception) -> None:
        """Log that a write raised, and cut the connection, as its client has a gap."""
        log.error("fault while writing to a connection", exc_info=error)
        self.reset(WRITE_FAILED)

    # What the protocol says.

    def pause_writing(self) -> None:
        """The client does not read: keep what comes, and let its commands wait."""
        if self._on_lost is not None:  # else nothing would release it
            self._inbox.hold()
        if self.direct is not None:
            self._unread, self._unread_bytes = [], 0
            self._set_direct(None)

    def resume_writing(self) -> None:
        """It does again: write what was kept, and go on."""
        kept, self._unread = self._unread, None
        if kept is not None:
            self._set_direct(self._websocket)
            for frame in kept:
                self.write(frame)
            if self.direct is not None:
                self._inbox.release()

    def flush(self) -> None:
        """Write what was kept, whether the client reads or not: the end of the connection is near.

        The WebSocket bounds the time that this takes.
        """
        kept, self._unread = self._unread, None
        try:
            for frame in kept or ():
                self._websocket.write(frame)
        except Exception as error:  # noqa: BLE001  (logged there)
            self.fail(error)

    def lost(self) -> None:
        """The connection is gone, or about to be."""
        self._stop_writing()
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            self._inbox.finish(on_lost)

    def _stop_writing(self) -> None:
        self._unread = None
        self._set_direct(None)

    def _set_direct(self, writer: FrameWriter | None) -> None:
        self.direct = None if writer is None else writer.write
        if self.on_direct is not None:
            self.on_direct(writer)

    @property
    def direct_writer(self) -> FrameWriter | None:
        """What writes a frame, while nothing is in the way of it."""
        return None if self.direct is None else self._websocket


def _size(message: Message) -> int:
    return len(message[1])
