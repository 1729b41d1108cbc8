"""Draining closes connections gradually."""

import asyncio

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.adapters.engineio.client_session import ClientSession
from socketio_app.adapters.engineio.drain import (
    BATCH_CONNECTIONS,
    MIN_CONNECTIONS_PER_SECOND,
    drain_all,
    drain_interval,
)

pytestmark = pytest.mark.anyio


@attrs.define(eq=False)
class Connection(ClientSession):
    """A connection whose close may fail."""

    fault: Exception | None = None
    ended: bool = False

    async def drain(self) -> None:
        self.ended = True
        if self.fault is not None:
            raise self.fault


@given(count=st.integers(1, 100_000), seconds=st.floats(0, 600))
def test_connections_close_within_drain_time_at_minimum_rate(count: int, seconds: float) -> None:
    apart = drain_interval(count, seconds)

    assert 0 <= apart * count <= seconds * 1.000001
    assert apart <= 1 / MIN_CONNECTIONS_PER_SECOND


async def test_failed_close_does_not_stop_draining(caplog: pytest.LogCaptureFixture) -> None:
    connections = [Connection(), Connection(OSError("gone")), Connection()]

    await drain_all(connections, 0)

    assert all(connection.ended for connection in connections)
    assert len(caplog.records) == 1


async def test_draining_yields_to_event_loop() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    await drain_all([Connection() for _ in range(50 * BATCH_CONNECTIONS)], 0)
    turning.cancel()

    assert turns >= 50


async def test_draining_without_connections_is_immediate() -> None:
    await drain_all([], 600)
