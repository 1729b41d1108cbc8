"""WebSockets over ASGI: each frame is one message, and errors are logged."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from socketio_app.adapters.websocket.asgi_websocket import AsgiWebSocket
from socketio_app.adapters.websocket.frames import BINARY, TEXT, Frame, frame
from socketio_app.adapters.websocket.interface import Message

pytestmark = pytest.mark.anyio

TIMEOUT_SECONDS = 60


class LossRecorder:
    """Implements `FrameHandler`; records only whether the connection was lost."""

    is_lost = False

    def receive(self, messages: Sequence[Message]) -> None:
        raise AssertionError("nothing was sent")

    def pongs_received(self, count: int) -> None:
        self.pings_received(count)

    def pings_received(self, count: int) -> None:
        raise AssertionError("nothing was sent")

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass

    def flush(self) -> None:
        pass

    def connection_lost(self) -> None:
        self.is_lost = True


async def serve(written: Sequence[Frame]) -> list[dict[str, Any]]:
    """Write frames to a WebSocket and close it; return the messages sent to the server."""
    sent: list[dict[str, Any]] = []
    owner = LossRecorder()

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    websocket = AsgiWebSocket(receive, send, 1000)
    websocket.set_handler(owner)
    for each in written:
        websocket.write(each)
    websocket.close(1000)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await websocket.serve()
    assert owner.is_lost
    return sent


async def test_each_frame_is_one_message() -> None:
    sent = await serve([frame(TEXT, b"one"), frame(BINARY, b"2" * 300), frame(TEXT, b"3" * 70_000)])

    assert sent == [
        {"type": "websocket.send", "text": "one"},
        {"type": "websocket.send", "bytes": b"2" * 300},
        {"type": "websocket.send", "text": "3" * 70_000},
        {"type": "websocket.close", "code": 1000},
    ]


async def test_joined_frames_are_logged_as_error_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    joined = Frame(frame(TEXT, b"one") + frame(TEXT, b"two"))

    sent = await serve([joined])

    assert sent == []
    assert [record.message for record in caplog.records] == [
        "internal error while serving a WebSocket"
    ]
