"""When the server ends, connections go a few at a time."""

import asyncio

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.adapters.engineio.drain import (
    AT_ONCE,
    MIN_PER_SECOND,
    drain_all,
    seconds_apart,
)

pytestmark = pytest.mark.anyio


@attrs.define(eq=False)
class Connection:
    """A connection, whose end may fail."""

    fault: Exception | None = None
    ended: bool = False

    async def drain(self) -> None:
        self.ended = True
        if self.fault is not None:
            raise self.fault


@given(count=st.integers(1, 100_000), seconds=st.floats(0, 600))
def test_they_go_within_the_time_and_a_few_go_soon(count: int, seconds: float) -> None:
    apart = seconds_apart(count, seconds)

    assert 0 <= apart * count <= seconds * 1.000001
    assert apart <= 1 / MIN_PER_SECOND


async def test_all_have_gone_though_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    connections = [Connection(), Connection(OSError("gone")), Connection()]

    await drain_all(connections, 0)

    assert all(connection.ended for connection in connections)
    assert len(caplog.records) == 1


async def test_the_loop_has_its_turn_every_so_many() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    await drain_all([Connection() for _ in range(50 * AT_ONCE)], 0)
    turning.cancel()

    assert turns >= 50


async def test_nobody_there_takes_no_time() -> None:
    await drain_all([], 600)
