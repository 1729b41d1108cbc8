"""How much is read from a connection that was taken over before others are served."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from socketio_app.adapters.websocket.frames import BINARY, NORMAL_CLOSURE, PING, FrameReader
from socketio_app.adapters.websocket.interface import Message
from socketio_app.adapters.websocket.turn import MAX_TURN_BYTES
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from tests.e2e.hostile import frame

pytestmark = pytest.mark.anyio


class FrameHandler:
    """Implements `FrameHandler`, and records its calls."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ignored_frames = 0

    def receive(self, messages: Sequence[Message]) -> None:
        self.messages += messages

    def pongs_received(self, count: int) -> None:
        self.pings_received(count)

    def pings_received(self, count: int) -> None:
        self.ignored_frames += count

    def pause_writing(self) -> None:
        raise AssertionError("nothing is written")

    def resume_writing(self) -> None:
        raise AssertionError("nothing is written")

    def flush(self) -> None:
        pass

    def connection_lost(self) -> None:
        raise AssertionError("nobody closes it")


class ReadTransport:
    """A transport that records whether reading is paused."""

    is_reading = True

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True


def taken_over(transport: ReadTransport, owner: FrameHandler) -> TakeoverProtocol:
    protocol = TakeoverProtocol.__new__(TakeoverProtocol)
    protocol.loop = asyncio.get_running_loop()
    protocol.transport = cast("asyncio.Transport", transport)
    protocol._reader = FrameReader(2 * MAX_TURN_BYTES)
    protocol._owner = owner
    protocol.write = lambda _: None
    return protocol


def message(size: int, opcode: int = BINARY) -> bytes:
    return frame(b"x" * size, opcode, 0x80, is_masked=True, length_error=0)


async def test_other_connections_are_served_after_large_read() -> None:
    transport, owner = ReadTransport(), FrameHandler()
    protocol = taken_over(transport, owner)

    protocol.data_received(message(MAX_TURN_BYTES))

    assert len(owner.messages) == 1
    assert not transport.is_reading
    await asyncio.sleep(0)
    assert transport.is_reading


async def test_small_read_does_not_pause_reading() -> None:
    transport, owner = ReadTransport(), FrameHandler()
    protocol = taken_over(transport, owner)

    protocol.data_received(message(1000))

    assert len(owner.messages) == 1
    assert transport.is_reading


async def test_control_frames_are_reported_as_ignored() -> None:
    owner = FrameHandler()
    protocol = taken_over(ReadTransport(), owner)

    protocol.data_received(message(5, PING) * 3 + message(5))

    assert owner.ignored_frames == 3
    assert len(owner.messages) == 1


class ResetTransport(ReadTransport):
    """A transport whose client has reset the connection, unnoticed by the loop."""

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        raise OSError("Transport endpoint is not connected")


async def test_reset_connection_is_closed_normally() -> None:
    transport = ResetTransport()
    protocol = taken_over(transport, FrameHandler())
    transport.is_reading = False

    protocol.close(NORMAL_CLOSURE)

    assert transport.is_reading
