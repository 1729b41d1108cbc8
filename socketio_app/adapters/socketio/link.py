"""A WebSocket that an Engine.IO connection has taken over: frames out, messages in."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from socketio_app.adapters.socketio import frames
from socketio_app.adapters.socketio.deadlines import Deadline
from socketio_app.adapters.socketio.endings import NOT_READING, WRITE_FAILED
from socketio_app.adapters.socketio.frames import Frame
from socketio_app.adapters.socketio.inbox import Inbox, Work
from socketio_app.adapters.socketio.websocket import FrameWriter, Message, WebSocket, Write

log = logging.getLogger("socketio_app.socketio")

UPGRADE_SECONDS = 10.0
"""How long a client may take for the upgrade; meanwhile it gets nothing over the old transport."""

MAX_IGNORED = 100
"""Control frames during an upgrade; more of them end it."""


class Link:
    """One client's WebSocket.

    Args:
        websocket: it.
        handle: handles a message.
        at_once, overtakes: see `Inbox`.
        most_unread_bytes: how much may wait for a client that does not read.
        on_ignored: see `Owner.ignored`.
        on_lost: the last thing to do, when the connection is gone and all that came is handled.
    """

    def __init__(
        self,
        websocket: WebSocket,
        handle: Callable[[Message], Work],
        *,
        at_once: Callable[[Message], bool],
        overtakes: Callable[[Message], bool],
        most_unread_bytes: int,
        on_ignored: Callable[[int], None],
        on_lost: Callable[[], Work],
    ) -> None:
        self._websocket = websocket
        self._most_unread_bytes = most_unread_bytes
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
        """See `Owner.ignored`."""
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
            is_full = self._unread_bytes > self._most_unread_bytes
            self._unread.append(frame)
            self._unread_bytes += len(frame)
            if is_full:
                log.info("closed a connection that does not read")
                self.dropped = len(self._unread)
                self.cut(NOT_READING)

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

    def cut(self, why: str) -> None:
        """Cut it now."""
        self.ending = why
        self._stop_writing()
        self._websocket.abort()

    def fail(self, error: Exception) -> None:
        """Log that a write raised, and cut the connection, as its client has a gap."""
        log.error("fault while writing to a connection", exc_info=error)
        self.cut(WRITE_FAILED)

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


class Upgrading(Protocol):
    """An Engine.IO connection that polls, and is about to change to a WebSocket."""

    def end_poll(self) -> None:
        """Answer the poll that is open, so that the client begins no other."""
        ...

    def may_upgrade(self) -> bool:
        """Whether it polls still."""
        ...

    def upgraded_to(self, websocket: WebSocket) -> Link:
        """Use the WebSocket from now on, and for what waits."""
        ...

    def not_upgraded(self) -> None:
        """Go on polling."""
        ...

    def end_on(self, websocket: WebSocket) -> None:
        """Close a WebSocket that can no longer be used, after what the client has not fetched."""
        ...


class Probe:
    """Goes through the upgrade from polling (Engine.IO protocol 4, "Upgrade").

    The client asks over the new WebSocket whether it works, `2probe`; it does, `3probe`; and the
    client changes to it, `5`.
    """

    def __init__(self, websocket: WebSocket, connection: Upgrading) -> None:
        self._websocket = websocket
        self._connection = connection
        self._was_asked = self._is_over = False
        self._ignored = 0
        self._deadline = Deadline(UPGRADE_SECONDS, self._fail)

    def receive(self, messages: Sequence[Message]) -> None:
        """Take the next steps."""
        if self._is_over:
            return
        for number, message in enumerate(messages):
            if message == (frames.TEXT, b"2probe") and not self._was_asked:
                self._was_asked = True
                self._websocket.write(frames.frame(frames.TEXT, b"3probe"))
                self._connection.end_poll()
            elif message == (frames.TEXT, b"5") and self._was_asked:
                self._upgrade(messages[number + 1 :])
                return
            else:
                self._fail()
                return

    def _upgrade(self, messages: Sequence[Message]) -> None:
        if self._connection.may_upgrade():
            self._deadline.cancel()
            self._connection.upgraded_to(self._websocket).receive(messages)
        else:  # another WebSocket was faster, or the session has ended
            self._end()
            self._connection.end_on(self._websocket)

    def ignored(self, count: int) -> None:
        """Count them; no client needs more than a few during an upgrade."""
        self._ignored += count
        if self._ignored > MAX_IGNORED:
            self._fail()

    def pause_writing(self) -> None:
        """So little is written here that it does not matter."""

    def resume_writing(self) -> None:
        """Likewise."""

    def flush(self) -> None:
        """Nothing is kept here."""

    def lost(self) -> None:
        """The client has thought better of it."""
        self._end()

    def _fail(self) -> None:
        self._end()
        self._websocket.close(frames.NORMAL_CLOSURE)

    def _end(self) -> None:
        self._deadline.cancel()
        if not self._is_over:
            self._is_over = True
            self._connection.not_upgraded()
