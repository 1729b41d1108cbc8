"""uvicorn's WebSocket protocol, with connections that an application can take over.

For other ASGI applications, it behaves like uvicorn's own. An application that finds `EXTENSION` in
the scope can take the connection over: from then on, messages are delivered directly to its
handler, and it writes frames directly to the transport, without a task, queue or timer in between.
The application's ASGI call may return.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from socketio_app.adapters.compatibility import takeover_problems
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.deadlines import Deadline
from socketio_app.adapters.websocket.frames import CloseFinder, FrameReader
from socketio_app.adapters.websocket.interface import (
    CLOSE_SECONDS,
    EXTENSION,
    FrameHandler,
    WriteJoined,
)
from socketio_app.adapters.websocket.tcp import reset
from socketio_app.adapters.websocket.turn import MAX_TURN_BYTES

log = logging.getLogger("socketio_app.socketio")

MAX_UNDECIDED_BYTES = 262_144
"""Maximum bytes received before a takeover; beyond, uvicorn handles the connection."""

_RETAINED = (
    "_close_deadline",
    "_close_finder",
    "_gathered",
    "_has_connected",
    "_is_behind",
    "_is_closing",
    "_is_writing_paused",
    "_owner",
    "_owner_reads",
    "_pong",
    "_reader",
    "_undecided",
    "connections",
    "disconnected",
    "logger",
    "loop",
    "tasks",
    "transport",
    "write",
)
"""Attributes kept after a takeover; the rest, at least half of uvicorn's state, is freed."""


class TakeoverProtocol(WebSocketsSansIOProtocol):
    """A WebSocket connection that an application can take over.

    Pass it to uvicorn as `ws`, without compression (`ws_per_message_deflate=False`).
    """

    _owner: FrameHandler | None = None
    _reader: FrameReader | None = None
    _undecided: bytearray | None = None
    """Data received between the offer of a takeover and its decision."""
    _has_connected = False
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
    write: Callable[[bytes], None]
    """Writes one or several joined frames after earlier ones. For the owner."""

    # Before a takeover.

    def handle_connect(self, event: Any) -> None:
        """Offer a takeover of the connection in the scope."""
        super().handle_connect(event)
        self._offer()

    def _offer(self) -> None:
        """Offer a takeover of the connection before anything reads from it.

        Called twice: an eager task has already begun when uvicorn's `handle_connect` returns, and
        any other task begins only after more data may have been received.
        """
        is_rejected = not hasattr(self, "scope")
        if is_rejected or self._has_connected or self._undecided is not None:
            return
        # If compression was negotiated, only uvicorn can handle it.
        if not self.conn.extensions and _is_takeover_supported():
            self._undecided = bytearray()
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    async def receive(self) -> Any:
        """See ASGI. A call after `websocket.connect` was received rules out a takeover."""
        if self._reader is not None:
            return await self._wait_for_disconnect()
        if self._has_connected:
            self._decline()
        self._has_connected = True
        return await super().receive()

    def _decline(self) -> None:
        """Leave the connection to uvicorn: it is not taken over."""
        early, self._undecided = self._undecided, None
        if early:
            super().data_received(bytes(early))

    async def _wait_for_disconnect(self) -> Any:
        """Wait for the disconnect, the only event that middleware can receive after a takeover."""
        queue: asyncio.Queue[Any] | None = self.__dict__.get("queue")
        if queue is None or (self.disconnected and queue.empty()):
            return _disconnect_event()
        return await queue.get()

    async def run_asgi(self) -> None:
        """Run the application; a connection that was taken over outlasts it."""
        self._offer()
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            self.send_500_response()
        else:
            if self._owner is not None:
                self._free()
                return
            if not self.handshake_complete and self.initial_response is None:
                self.logger.error("ASGI callable returned without completing handshake.")
                self.send_500_response()
        if self._owner is not None:
            self.close(frames.NORMAL_CLOSURE)
        elif self.close_timer is None:
            self.transport.close()

    def take_over(self, max_bytes: int) -> bool:
        """Stop serving the application, and read and write frames for an owner.

        Call this after accepting the connection, and `hand_to` next. Returns false if middleware
        has read ahead.
        """
        if self._undecided is None:
            return False
        self._reader = FrameReader(max_bytes)
        self.write = self.transport.write if loop_gathers_writes(self.loop) else self._gather_write
        return True

    def hand_to(self, owner: FrameHandler) -> None:
        """Deliver everything received to `owner`, including data that has already arrived."""
        self._owner = owner
        early, self._undecided = self._undecided, None
        if self._is_writing_paused:
            owner.pause_writing()
        if early:
            self.data_received(bytes(early))
        if self.disconnected:
            owner.lost()

    def _free(self) -> None:
        """Free the state that only the handshake needed."""
        self.stop_keepalive()
        self.queue.put_nowait(_disconnect_event())
        self.__dict__ = {name: self.__dict__[name] for name in _RETAINED if name in self.__dict__}

    # Called by the transport and the server.

    def data_received(self, data: bytes) -> None:
        """Parse received data, or buffer it until a takeover is decided on."""
        if self._is_closing:
            if self._close_finder is not None and self._close_finder.feed(data):
                self.transport.close()
        elif self._reader is not None and self._undecided is None:
            self._parse(data, self._reader)
        elif self._undecided is not None:
            self._undecided += data
            if len(self._undecided) > MAX_UNDECIDED_BYTES:
                self._decline()
        else:
            super().data_received(data)

    def pause_writing(self) -> None:
        """Ask the owner to pause writing."""
        self._is_writing_paused = True
        if self._owner is not None:
            self._owner.pause_writing()
        else:
            super().pause_writing()

    def resume_writing(self) -> None:
        """Write a delayed pong, and ask the owner to resume writing."""
        self._is_writing_paused = False
        if self._is_closing:
            return
        pong, self._pong = self._pong, None
        if pong is not None:
            self.write(pong)
        if self._owner is not None:
            self._owner.resume_writing()
        else:
            super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the owner of the lost connection."""
        owner = self._owner
        if owner is None:
            super().connection_lost(exc)
            return
        self.connections.discard(self)
        self.disconnected = True
        if self._close_deadline is not None:
            self._close_deadline.cancel()
        if "queue" in self.__dict__:  # the application's call has not returned
            self.queue.put_nowait(_disconnect_event())
        owner.lost()

    def shutdown(self) -> None:
        """Close the connection with a code that lets the client reconnect to another server."""
        if self._owner is None:
            super().shutdown()
        else:
            self._close_for_owner(self._owner, frames.SERVICE_RESTART)

    # For the owner.

    @property
    def write_joined(self) -> WriteJoined:
        """See `FrameWriter.write_joined`: the transport takes any number of frames."""
        return self.write

    def close(self, code: int) -> None:
        """Write a Close frame, and nothing after it; discard data that still arrives.

        Closing the TCP connection while the client is sending would reset it, and the client might
        not receive the Close frame (RFC 6455, section 7.1.1). Therefore only the writing side is
        shut down, until the client closes its side or `CLOSE_SECONDS` have passed.
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
        self._close_deadline = Deadline(CLOSE_SECONDS, self.abort)

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
        owner.lost()
        self.close(code)

    def _answer_close(self) -> None:
        """Answer the client's Close frame; after it, the client sends and expects nothing."""
        assert self._owner is not None  # noqa: S101  (there is one with the reader)
        self._owner.lost()
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
            else:
                pongs += 1
        if pings:
            self._owner.ignored(pings)
        if pongs:
            self._owner.ponged(pongs)
        return messages, False


def _drop(_frame: bytes) -> None:
    """Write nothing: no frame may follow the Close frame."""


@cache
def _is_takeover_supported() -> bool:
    """Whether this uvicorn is supported; `ws` may name this class without a previous check."""
    problems = takeover_problems()
    if problems:
        log.warning("WebSockets are not taken over from uvicorn: %s", ", ".join(problems))
    return not problems


def _disconnect_event() -> Any:
    return {"type": "websocket.disconnect", "code": frames.NORMAL_CLOSURE}


def loop_gathers_writes(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether everything written in one turn of the loop is sent in one system call.

    uvloop before 0.23 gathers writes; later versions and asyncio write immediately.
    """
    return type(loop).__module__.startswith("uvloop") and _uvloop_gathers_writes()


@cache
def _uvloop_gathers_writes() -> bool:
    # Cached: this reads the package's metadata from disk.
    major, minor = (int(part) for part in version("uvloop").split(".")[:2])
    return (major, minor) < (0, 23)
