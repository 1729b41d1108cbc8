"""uvicorn's WebSocket protocol, handing its transport over to those who ask.

To an ASGI application it is what uvicorn's own is. One that finds `EXTENSION` in the scope may take
the connection over: from then on what comes goes straight to it, and it writes frames to the
transport. Nothing stands between, no task, queue or timer; the application's call may return.
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
from socketio_app.adapters.websocket.frames import CloseFinder, FrameError, FrameReader
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
"""A client that sends more before its connection is taken over is left to uvicorn."""

_KEPT = (
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
"""What a connection needs that was taken over: half of what uvicorn has for it, or less."""


class TakeoverProtocol(WebSocketsSansIOProtocol):
    """A WebSocket connection that may be taken over.

    Give it to uvicorn as `ws`, without compression (`ws_per_message_deflate=False`).
    """

    _owner: FrameHandler | None = None
    _reader: FrameReader | None = None
    _undecided: bytearray | None = None
    """What came before it was clear who reads."""
    _has_connected = False
    _gathered: list[bytes] | None = None
    _is_behind = False
    """More has come than was read at once; nothing is received until it has been."""
    _owner_reads = True
    _is_writing_paused = False
    _pong: bytes | None = None
    """The answer to the newest ping, for when writing goes on."""
    _is_closing = False
    """The Close frame is written; what arrives is discarded."""
    _close_deadline: Deadline | None = None
    _close_finder: CloseFinder | None = None
    write: Callable[[bytes], None]
    """Writes frames, one or several joined, after those before them. For the owner."""

    # Before somebody takes over.

    def handle_connect(self, event: Any) -> None:
        """Offer the connection, in the scope, to Engine.IO."""
        super().handle_connect(event)
        self._offer()

    def _offer(self) -> None:
        """Offer the connection before anything reads from it.

        Twice: a task that is eager has begun when uvicorn's `handle_connect` returns, and one that
        is not begins after more may have been received.
        """
        is_rejected = not hasattr(self, "scope")
        if is_rejected or self._has_connected or self._undecided is not None:
            return
        # Where compression was agreed on, uvicorn does it.
        if not self.conn.extensions and _may_be_taken():
            self._undecided = bytearray()
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    async def receive(self) -> Any:
        """See ASGI. To read on after the connect is to decide against taking over."""
        if self._reader is not None:
            return await self._end_of_what_was_taken_over()
        if self._has_connected:
            self._decline()
        self._has_connected = True
        return await super().receive()

    def _decline(self) -> None:
        """Let the application read the connection: it is not taken over."""
        early, self._undecided = self._undecided, None
        if early:
            super().data_received(bytes(early))

    async def _end_of_what_was_taken_over(self) -> Any:
        """Wait for the end, which is all that middleware that reads ahead can get."""
        queue: asyncio.Queue[Any] | None = self.__dict__.get("queue")
        if queue is None or (self.disconnected and queue.empty()):
            return _disconnect()
        return await queue.get()

    async def run_asgi(self) -> None:
        """Run the application; the connection outlasts it when it was taken over."""
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
        """Read and write frames for an owner from now on, and for the application no more.

        Call it after the accept, and `hand_to` next. False where middleware has read ahead.
        """
        if self._undecided is None:
            return False
        self._reader = FrameReader(max_bytes)
        self.write = self.transport.write if loop_gathers_writes(self.loop) else self._gather
        return True

    def hand_to(self, owner: FrameHandler) -> None:
        """From now on what comes is the owner's; what has come already, too."""
        self._owner = owner
        early, self._undecided = self._undecided, None
        if self._is_writing_paused:
            owner.pause_writing()
        if early:
            self.data_received(bytes(early))
        if self.disconnected:
            owner.lost()

    def _free(self) -> None:
        """Let go of what only the handshake needed."""
        self.stop_keepalive()
        self.queue.put_nowait(_disconnect())
        self.__dict__ = {name: self.__dict__[name] for name in _KEPT if name in self.__dict__}

    # What the transport says.

    def data_received(self, data: bytes) -> None:
        """Read what came, or keep it until it is clear who reads."""
        if self._is_closing:
            if self._close_finder is not None and self._close_finder.feed(data):
                self.transport.close()
        elif self._reader is not None and self._undecided is None:
            self._read(data, self._reader)
        elif self._undecided is not None:
            self._undecided += data
            if len(self._undecided) > MAX_UNDECIDED_BYTES:
                self._decline()
        else:
            super().data_received(data)

    def pause_writing(self) -> None:
        """The client does not read."""
        self._is_writing_paused = True
        if self._owner is not None:
            self._owner.pause_writing()
        else:
            super().pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
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
        """The connection is gone."""
        owner = self._owner
        if owner is None:
            super().connection_lost(exc)
            return
        self.connections.discard(self)
        self.disconnected = True
        if self._close_deadline is not None:
            self._close_deadline.cancel()
        if "queue" in self.__dict__:  # the application's call has not returned
            self.queue.put_nowait(_disconnect())
        owner.lost()

    def shutdown(self) -> None:
        """The server ends; the client may connect again, to another."""
        if self._owner is None:
            super().shutdown()
        else:
            self._end(self._owner, frames.SERVICE_RESTART)

    # For the owner.

    @property
    def write_joined(self) -> WriteJoined:
        """The transport takes bytes, however many frames they are."""
        return self.write

    def close(self, code: int) -> None:
        """Write a Close frame, and nothing after it; discard what still arrives.

        To close the TCP connection while the client is sending would reset it, and the client might
        not see the Close frame (RFC 6455, section 7.1.1). Only writing is shut down, until the
        client has closed its side too, or the time is over.
        """
        if self._is_closing or self.transport.is_closing():
            return
        self._write_last(code)
        if self.transport.can_write_eof():
            with contextlib.suppress(OSError):  # asyncio's, where the client has reset it
                self.transport.write_eof()
        elif self._reader is not None:  # TLS: the client's own Close frame is the end
            self._close_finder = CloseFinder(self._reader.rest)
        self.transport.resume_reading()

    def _write_last(self, code: int) -> None:
        self.write(frames.close_frame(code))
        self._write_gathered()
        self.write = _drop
        self._is_closing = True
        self._close_deadline = Deadline(CLOSE_SECONDS, self.abort)

    def pause_reading(self) -> None:
        """Let the client wait with what it sends."""
        self._owner_reads = False
        if not (self._is_closing or self.transport.is_closing()):
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Let it come again."""
        self._owner_reads = True
        if self._is_behind:
            self.loop.call_soon(self._read_on)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """Cut the connection now, and what the client has not read with it."""
        reset(self.transport)

    def _gather(self, frame: bytes) -> None:
        """Write a frame together with others of this turn of the loop."""
        if self._gathered is None:
            self._gathered = []
            self.loop.call_soon(self._write_gathered)
        self._gathered.append(frame)

    def _write_gathered(self) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered:
            self.transport.write(b"".join(gathered))

    def _read(self, data: bytes, reader: FrameReader) -> None:
        assert self._owner is not None  # noqa: S101  (there is one with the reader)
        found: list[tuple[int, bytes]] = []
        fault: FrameError | None = None
        try:
            # Where a read fills its buffer, uvloop reads again in the same turn, 32 times.
            if reader.feed(data, found) or len(data) >= MAX_TURN_BYTES:
                self._read_on_soon()
        except FrameError as error:
            fault = error
        is_closed = False
        for opcode, _ in found:
            if opcode != frames.TEXT:
                found, is_closed = self._without_controls(found)
                break
        if found:
            self._owner.receive(found)
        if is_closed:
            self._answer_close()
        elif fault is not None:
            log.info("connection closed: %s", fault)
            self._end(self._owner, fault.code)

    def _end(self, owner: FrameHandler, code: int) -> None:
        """Close the connection, which its owner has not asked for."""
        owner.flush()
        owner.lost()
        self.close(code)

    def _answer_close(self) -> None:
        """Answer the client's Close frame, after which it sends and expects nothing."""
        assert self._owner is not None  # noqa: S101  (there is one with the reader)
        self._owner.lost()
        if not (self._is_closing or self.transport.is_closing()):
            self._write_last(frames.NORMAL_CLOSURE)
            self.transport.close()

    def _read_on_soon(self) -> None:
        """Read what else has come when others have had their turn, and nothing new before."""
        self._is_behind = True
        if not self.transport.is_closing():
            self.transport.pause_reading()
            self.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._reader is None or self._is_closing:
            return
        if not (self._is_behind and self._owner_reads):
            return
        self._is_behind = False
        if not self.transport.is_closing():
            self._read(b"", self._reader)
            if not self._is_behind and self._owner_reads:
                self.resume_reading()

    def _answer(self, pong: bytes) -> None:
        """Write a pong, or keep the newest until the client reads (RFC 6455, section 5.5.3)."""
        if self._is_writing_paused:
            self._pong = pong
        else:
            self.write(pong)

    def _without_controls(
        self, found: Sequence[tuple[int, bytes]]
    ) -> tuple[list[tuple[int, bytes]], bool]:
        """Answer pings; return the messages, and whether a Close frame came after them."""
        assert self._owner is not None  # noqa: S101  (there is one with the reader)
        messages: list[tuple[int, bytes]] = []
        pings = pongs = 0
        for opcode, payload in found:
            if opcode in (frames.TEXT, frames.BINARY):
                messages.append((opcode, payload))
            elif opcode == frames.PING:
                self._answer(frames.frame(frames.PONG, payload))
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
    """Write nothing: the Close frame was the last."""


@cache
def _may_be_taken() -> bool:
    """Whether uvicorn is what this was built on: `ws` may name this class without having asked."""
    problems = takeover_problems()
    if problems:
        log.warning("WebSockets are not taken over from uvicorn: %s", ", ".join(problems))
    return not problems


def _disconnect() -> Any:
    return {"type": "websocket.disconnect", "code": frames.NORMAL_CLOSURE}


def loop_gathers_writes(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether what is written in one turn of the loop leaves in one system call.

    uvloop before 0.23 gathers; later ones, and asyncio, write at once.
    """
    return type(loop).__module__.startswith("uvloop") and _uvloop_gathers_writes()


@cache
def _uvloop_gathers_writes() -> bool:
    # Once: finding out reads the package's metadata from the disk.
    major, minor = (int(part) for part in version("uvloop").split(".")[:2])
    return (major, minor) < (0, 23)
