"""A WebSocket of any ASGI server, with the face of one that was handed over.

It costs what ASGI costs: two tasks, and a dictionary for each message.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.deadlines import Deadline
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.interface import CLOSE_SECONDS, FrameHandler
from socketio_app.adapters.websocket.tcp import reset, transport_behind
from socketio_app.adapters.websocket.turn import Turn
from socketio_app.application.cancellation import start_task

log = logging.getLogger("socketio_app.socketio")

MANY_UNSENT_BYTES = 65_536
"""From here on the client counts as one that does not read."""


class AsgiWebSocket:
    """An accepted WebSocket, until `serve` returns."""

    write_joined: None = None
    """ASGI sends one message at a time."""

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
        """Whose what comes is."""
        self._unsent: list[Frame] = []
        self._unsent_bytes = 0
        self._is_full = False
        self._deciding: asyncio.Handle | None = None
        self._has_unsent = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._reading: asyncio.Task[None] | None = None
        self._closing: int | None = None

    def hand_to(self, owner: FrameHandler) -> None:
        """From now on what comes is the owner's."""
        self.owner = owner
        if self._is_full:
            owner.pause_writing()

    def write(self, frame: Frame) -> None:
        """Send a frame after those before it. Never waits."""
        self._unsent.append(frame)
        self._unsent_bytes += len(frame)
        self._has_unsent.set()
        if self._unsent_bytes > MANY_UNSENT_BYTES and self._deciding is None and not self._is_full:
            # Not now: what is written in one turn, the client cannot have begun to read.
            self._deciding = asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        self._deciding = None
        if self._unsent_bytes > MANY_UNSENT_BYTES and not self._is_full:
            self._is_full = True
            self.owner.pause_writing()

    def pause_reading(self) -> None:
        """Let the client wait with what it sends."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Let it come again."""
        self._may_read.set()

    def close(self, code: int) -> None:
        """Close it when what was written has been sent."""
        if self._closing is None:
            self._closing = code
            self._has_unsent.set()
            # Also after `serve`: the server may have more that is not read than goes.
            Deadline(CLOSE_SECONDS, self._stop)

    def abort(self) -> None:
        """Close it now."""
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
        """Read and write until it is closed, by either side."""
        self._reading = start_task(self._read())
        writing = start_task(self._write())
        try:
            await asyncio.wait([self._reading, writing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (self._reading, writing):
                task.cancel()
            await asyncio.wait([self._reading, writing])
            for task in (self._reading, writing):
                _log_fault(task)
            self.owner.lost()

    async def _read(self) -> None:
        turn = Turn()
        while True:
            if turn.is_over():
                await asyncio.sleep(0)  # a server that has more does not wait in its `receive`
                turn = Turn()
            await self._may_read.wait()
            event = await self._receive()
            if event["type"] != "websocket.receive":
                return
            message = _message_of(event)
            if len(message[1]) > self._max_bytes:
                log.info("connection closed: frame too large")
                self.owner.flush()
                self.close(frames.MESSAGE_TOO_BIG)
                await asyncio.Event().wait()  # the writer closes, and that ends this
            self.owner.receive([message])

    async def _write(self) -> None:
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            unsent, self._unsent = self._unsent, []
            for frame in unsent:
                if not await self._sent(_event_of(frame)):
                    return
                self._unsent_bytes -= len(frame)
            if self._is_full and not self._unsent:
                self._is_full = False
                self.owner.resume_writing()
            if self._closing is not None and not self._unsent:
                await self._sent({"type": "websocket.close", "code": self._closing})
                return

    async def _sent(self, event: dict[str, Any]) -> bool:
        try:
            await self._send(event)
        except Exception:  # noqa: BLE001  (each server has its own for a client that is gone)
            return False
        return True


def _log_fault(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("fault while serving a WebSocket", exc_info=error)


def _message_of(event: dict[str, Any]) -> tuple[int, bytes]:
    text = event.get("text")
    if text is not None:
        return frames.TEXT, text.encode("utf-8", "surrogateescape")
    return frames.BINARY, event["bytes"]


def _event_of(frame: Frame) -> dict[str, Any]:
    opcode, payload = frames.contents(frame)
    if opcode == frames.TEXT:
        return {"type": "websocket.send", "text": payload.decode()}
    return {"type": "websocket.send", "bytes": payload}
