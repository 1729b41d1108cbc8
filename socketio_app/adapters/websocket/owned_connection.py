"""Frames of a connection that an application has taken over, and their owner.

Messages are delivered directly to the owner, and frames are written directly to the transport.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.deadlines import Deadline
from socketio_app.adapters.websocket.frames import CloseFinder, FrameReader
from socketio_app.adapters.websocket.interface import (
    CLOSE_TIMEOUT_SECONDS,
    FrameHandler,
    WriteJoined,
)
from socketio_app.adapters.websocket.tcp import reset
from socketio_app.adapters.websocket.turn import MAX_TURN_BYTES

log = logging.getLogger("socketio_app.socketio")


class OwnedConnection:
    """Reads and writes the frames of a connection for its owner."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    write: Callable[[bytes], None]
    """Writes one or several joined frames after earlier ones."""
    _owner: FrameHandler | None = None
    _reader: FrameReader | None = None
    _gathered: list[bytes] | None = None
    _is_behind = False
    """Input is left to parse; the transport is paused until it is parsed."""
    _owner_reads = True
    _is_writing_paused = False
    _pong: bytes | None = None
    """Pong for the newest ping, to be written when writing resumes."""
    _is_closing = False
    """The Close frame was written; received data is discarded."""
    _close_deadline: Deadline | None = None
    _close_finder: CloseFinder | None = None

    @property
    def write_joined(self) -> WriteJoined:
        """See `FrameWriter.write_joined`: the transport takes any number of frames."""
        return self.write

    def close(self, code: int) -> None:
        """Write a Close frame, and nothing after it; discard data that still arrives.

        Closing the TCP connection while the client is sending would reset it, and the client might
        not receive the Close frame (RFC 6455, section 7.1.1). Therefore only the writing side is
        shut down, until the client closes its side or `CLOSE_TIMEOUT_SECONDS` have passed.
        """
        if self._is_closing or self.transport.is_closing():
            return
        self._write_close(code)
        if self.transport.can_write_eof():
            with contextlib.suppress(OSError):  # raised by asyncio if the client has reset it
                self.transport.write_eof()
        elif self._reader is not None:  # TLS has no half-close: wait for the client's Close frame
            self._close_finder = CloseFinder(self._reader.rest)
        self.transport.resume_reading()

    def _write_close(self, code: int) -> None:
        self.write(frames.close_frame(code))
        self._flush_gathered()
        self.write = _drop
        self._is_closing = True
        self._close_deadline = Deadline(CLOSE_TIMEOUT_SECONDS, self.abort)

    def pause_reading(self) -> None:
        """Stop reading from the client."""
        self._owner_reads = False
        if not (self._is_closing or self.transport.is_closing()):
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the client again."""
        self._owner_reads = True
        if self._is_behind:
            self.loop.call_soon(self._parse_rest)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """Reset the connection, discarding what the client has not read."""
        reset(self.transport)

    def _gather_write(self, frame: bytes) -> None:
        """Write a frame together with others from the same turn of the loop."""
        if self._gathered is None:
            self._gathered = []
            self.loop.call_soon(self._flush_gathered)
        self._gathered.append(frame)

    def _flush_gathered(self) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered:
            self.transport.write(b"".join(gathered))

    def _parse(self, data: bytes, reader: FrameReader) -> None:
        assert self._owner is not None  # noqa: S101  (there is one with the reader)
        found = reader.feed(data)
        # If a read fills its buffer, uvloop reads again in the same turn, up to 32 times.
        if (reader.has_more or len(data) >= MAX_TURN_BYTES) and reader.error is None:
            self._schedule_parse_rest()
        is_closed = False
        for opcode, _ in found:
            if opcode != frames.TEXT:
                found, is_closed = self._handle_controls(found)
                break
        if found:
            self._owner.receive(found)
        if is_closed:
            self._answer_close()
        elif reader.error is not None:
            log.info("connection closed: %s", reader.error)
            self._close_for_owner(self._owner, reader.error.code)

    def _close_for_owner(self, owner: FrameHandler, code: int) -> None:
        """Close the connection on the server's initiative rather than its owner's."""
        owner.flush()
        owner.connection_lost()
        self.close(code)

    def _answer_close(self) -> None:
        """Answer the client's Close frame; after it, the client sends and expects nothing."""
        assert self._owner is not None  # noqa: S101  (there is one with the reader)
        self._owner.connection_lost()
        if not (self._is_closing or self.transport.is_closing()):
            self._write_close(frames.NORMAL_CLOSURE)
            self.transport.close()

    def _schedule_parse_rest(self) -> None:
        """Parse the rest of the input in the next turn of the loop, and read no more until then."""
        self._is_behind = True
        if not self.transport.is_closing():
            self.transport.pause_reading()
            self.loop.call_soon(self._parse_rest)

    def _parse_rest(self) -> None:
        if self._reader is None or self._is_closing:
            return
        if not (self._is_behind and self._owner_reads):
            return
        self._is_behind = False
        if not self.transport.is_closing():
            self._parse(b"", self._reader)
            if not self._is_behind and self._owner_reads:
                self.resume_reading()

    def _write_pong(self, pong: bytes) -> None:
        """Write a pong, or only the newest once the client reads (RFC 6455, section 5.5.3)."""
        if self._is_writing_paused:
            self._pong = pong
        else:
            self.write(pong)

    def _handle_controls(
        self, found: Sequence[tuple[int, bytes]]
    ) -> tuple[list[tuple[int, bytes]], bool]:
        """Answer pings; return the messages, and whether a Close frame follows them."""
        assert self._owner is not None  # noqa: S101  (there is one with the reader)
        messages: list[tuple[int, bytes]] = []
        pings = pongs = 0
        for opcode, payload in found:
            if opcode in (frames.TEXT, frames.BINARY):
                messages.append((opcode, payload))
            elif opcode == frames.PING:
                self._write_pong(frames.frame(frames.PONG, payload))
                pings += 1
            elif opcode == frames.CLOSE:
                return messages, True
            elif payload == frames.PING_PAYLOAD:
                pongs += 1
            else:
                pings += 1  # an unsolicited pong asks for no answer, and proves nothing
        if pings:
            self._owner.pings_received(pings)
        if pongs:
            self._owner.pongs_received(pongs)
        return messages, False


def _drop(_frame: bytes) -> None:
    """Write nothing: no frame may follow the Close frame."""
