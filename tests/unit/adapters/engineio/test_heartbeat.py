"""One timer pings all clients, and times out those that do not answer."""

import asyncio
import time

import attrs
import pytest

from socketio_app.adapters.engineio.client_session import ClientSession
from socketio_app.adapters.engineio.heartbeat import Heartbeat
from socketio_app.adapters.engineio.state import State
from socketio_app.adapters.websocket.deadlines import LATE_SECONDS

pytestmark = pytest.mark.anyio


@attrs.define(eq=False)
class Client(ClientSession):
    """A connection whose client answers pings, or does not."""

    answers: bool = True
    state: State = State.WEBSOCKET
    pinged_at: float | None = None
    pings: int = 0
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)

    last_pinged_at: float = 0
    ended_at: float = 0

    def ping(self) -> None:
        self.pings += 1
        self.last_pinged_at = asyncio.get_running_loop().time()
        if self.answers:
            self.pinged_at = None
        self.changed.set()

    def ping_timed_out(self) -> None:
        self.state = State.CLOSED
        self.ended_at = asyncio.get_running_loop().time()
        self.changed.set()

    async def until_pinged(self, times: int) -> None:
        async with asyncio.timeout(60):
            while self.pings < times:
                self.changed.clear()
                await self.changed.wait()


async def test_client_that_answers_is_pinged_repeatedly() -> None:
    wheel, client = Heartbeat(0.05, 0.05), Client()

    wheel.add(client)
    await client.until_pinged(3)
    wheel.stop()

    assert not client.closed


async def test_client_that_does_not_answer_is_disconnected() -> None:
    wheel, silent, other = Heartbeat(0.05, 0.02), Client(answers=False), Client()

    wheel.add(silent)
    wheel.add(other)
    async with asyncio.timeout(60):
        while not silent.closed:
            silent.changed.clear()
            await silent.changed.wait()
    wheel.stop()

    assert silent.pings == 1
    assert not other.closed


async def test_removed_client_is_not_pinged() -> None:
    wheel, removed, other = Heartbeat(0.05, 0.05), Client(), Client()
    slot = wheel.add(removed)
    wheel.add(other)
    await removed.until_pinged(1)
    wheel.remove(removed, slot)
    pings = removed.pings

    await other.until_pinged(other.pings + 3)
    wheel.stop()

    assert removed.pings == pings
    assert not any(removed in slot for slot in wheel._slots)


async def test_each_ping_has_own_timeout_longer_than_interval() -> None:
    wheel, client = Heartbeat(0.05, 0.125), Client()
    wheel.add(client)
    await client.until_pinged(2)

    client.answers = False
    await client.until_pinged(3)
    async with asyncio.timeout(60):
        while not client.closed:
            client.changed.clear()
            await client.changed.wait()
    wheel.stop()

    assert client.pings == 3
    assert client.ended_at - client.last_pinged_at >= 0.12


async def test_late_tick_reads_pongs_before_disconnecting() -> None:
    wheel, client, silent = Heartbeat(0.05, 0.05), Client(answers=False), Client(answers=False)
    wheel.add(client)
    wheel.add(silent)
    await client.until_pinged(1)
    loop = asyncio.get_running_loop()
    # A pong is read in the next iteration of the loop, and handled in the one after.
    loop.call_soon(loop.call_soon, setattr, client, "pinged_at", None)

    time.sleep(LATE_SECONDS + 0.1)  # noqa: ASYNC251  (the loop is blocked)
    assert client.pinged_at is not None
    async with asyncio.timeout(10):
        while not silent.closed:
            silent.changed.clear()
            await silent.changed.wait()
    wheel.stop()

    assert not client.closed


async def test_silent_client_is_disconnected_although_every_tick_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socketio_app.adapters.engineio.heartbeat.LATE_SECONDS", 0.001)
    wheel, silent = Heartbeat(0.05, 0.05), Client(answers=False)
    wheel.add(silent)

    async with asyncio.timeout(10):
        while not silent.closed:
            time.sleep(0.005)  # noqa: ASYNC251  (the loop is blocked)
            await asyncio.sleep(0)
    wheel.stop()

    assert silent.pings == 1


async def test_client_with_open_ping_is_not_pinged_twice_and_times_out() -> None:
    wheel, asked = Heartbeat(0.05, 0.02), Client(answers=False)
    asked.pinged_at = asyncio.get_running_loop().time()

    wheel.add(asked)
    async with asyncio.timeout(10):
        while not asked.closed:
            asked.changed.clear()
            await asked.changed.wait()
    wheel.stop()

    assert asked.pings == 0
