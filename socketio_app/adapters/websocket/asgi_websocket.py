"""A WebSocket over plain ASGI, with the same interface as one taken over from the server.

It has the usual cost of ASGI: two tasks per connection and a dictionary per message.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.deadlines import Deadline
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.interface import CLOSE_TIMEOUT_SECONDS, FrameHandler
from socketio_app.adapters.websocket.tcp import reset, transport_behind
from socketio_app.adapters.websocket.turn import Turn
from socketio_app.application.cancellation import start_task

log = logging.getLogger("socketio_app.socketio")

HIGH_WATER_BYTES = 65_536
"""High-water mark of unsent frames, in bytes; above it, the owner has to pause writing."""


class AsgiWebSocket:
    """An accepted WebSocket, usable until `serve` returns."""

    write_joined: None = None
    """Always `None`: ASGI sends one message at a time."""

    def __init__(
        self,
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
        max_bytes: int,
    ) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self.owner: FrameHandler
        """Handler of received messages."""
        self._unsent: list[Frame] = []
        self._unsent_bytes = 0
        self._is_full = False
        self._check: asyncio.Handle | None = None
        self._has_unsent = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._reading: asyncio.Task[None] | None = None
        self._close_code: int | None = None

    def set_handler(self, owner: FrameHandler) -> None:
        """Deliver everything received from now on to `owner`."""
        self.owner = owner
        if self._is_full:
            owner.pause_writing()

    def write(self, frame: Frame) -> None:
        """Send a frame after earlier ones. Never waits."""
        self._unsent.append(frame)
        self._unsent_bytes += len(frame)
        self._has_unsent.set()
        if self._unsent_bytes > HIGH_WATER_BYTES and self._check is None and not self._is_full:
            # Deferred: the client cannot have read any of what is written in the same turn.
            self._check = asyncio.get_running_loop().call_soon(self._check_high_water)

    def _check_high_water(self) -> None:
        self._check = None
        if self._unsent_bytes > HIGH_WATER_BYTES and not self._is_full:
            self._is_full = True
            self.owner.pause_writing()

    def pause_reading(self) -> None:
        """Stop receiving messages."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Receive messages again."""
        self._may_read.set()

    def close(self, code: int) -> None:
        """Close the WebSocket once all written frames have been sent."""
        if self._close_code is None:
            self._close_code = code
            self._has_unsent.set()
            # Outlasts `serve`: the server may still be flushing data that the client does not read.
            Deadline(CLOSE_TIMEOUT_SECONDS, self._stop)

    def abort(self) -> None:
        """Close the WebSocket immediately, discarding unsent frames."""
        self._unsent.clear()
        self.close(frames.NORMAL_CLOSURE)
        self._stop()

    def _stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        transport = transport_behind(self._receive)
        if transport is not None:
            reset(transport)

    async def serve(self) -> None:
        """Receive and send until either side closes the WebSocket."""
        self._reading = start_task(self._read())
        writing = start_task(self._write())
        try:
            await asyncio.wait([self._reading, writing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (self._reading, writing):
                task.cancel()
            await asyncio.wait([self._reading, writing])
            for task in (self._reading, writing):
                _log_exception(task)
            self.owner.connection_lost()

    async def _read(self) -> None:
        turn = Turn()
        while True:
            if turn.is_over():
                await asyncio.sleep(0)  # the server's `receive` does not yield while it has data
                turn = Turn()
            await self._may_read.wait()
            event = await self._receive()
            if event["type"] != "websocket.receive":
                return
            message = _decode_event(event)
            if len(message[1]) > self._max_bytes:
                log.info("connection closed: frame too large")
                self.owner.flush()
                self.close(frames.MESSAGE_TOO_BIG)
                # Until `serve` cancels this task, after the Close frame.
                await asyncio.Event().wait()
            self.owner.receive([message])

    async def _write(self) -> None:
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            unsent, self._unsent = self._unsent, []
            for frame in unsent:
                if not await self._try_send(_encode_event(frame)):
                    return
                self._unsent_bytes -= len(frame)
            if self._is_full and not self._unsent:
                self._is_full = False
                self.owner.resume_writing()
            if self._close_code is not None and not self._unsent:
                await self._try_send({"type": "websocket.close", "code": self._close_code})
                return

    async def _try_send(self, event: dict[str, Any]) -> bool:
        try:
            await self._send(event)
        except Exception:  # noqa: BLE001  (every server raises its own error for a lost client)
            return False
        return True


def _log_exception(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("internal error while serving a WebSocket", exc_info=error)


def _decode_event(event: dict[str, Any]) -> tuple[int, bytes]:
    text = event.get("text")
    if text is not None:
        return frames.TEXT, text.encode("utf-8", "surrogateescape")
    return frames.BINARY, event["bytes"]


def _encode_event(frame: Frame) -> dict[str, Any]:
    opcode, payload = frames.contents(frame)
    if opcode == frames.TEXT:
        return {"type": "websocket.send", "text": payload.decode()}
    return {"type": "websocket.send", "bytes": payload}
