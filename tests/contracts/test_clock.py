"""Contract of every clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from socketio_app.adapters.system import SystemClock
from socketio_app.application.ports import Clock
from tests.clocks import ManualClock

pytestmark = pytest.mark.anyio


@attrs.frozen
class Ticking:
    """A clock, and a function that lets time pass."""

    clock: Clock
    pass_time: Callable[[timedelta], Awaitable[None]]


def system() -> Ticking:
    return Ticking(SystemClock(), lambda by: asyncio.sleep(by.total_seconds()))


def manual() -> Ticking:
    clock = ManualClock()

    async def advance(by: timedelta) -> None:
        clock.advance(by)

    return Ticking(clock, advance)


@pytest.fixture(params=[system, manual])
def ticking(request: pytest.FixtureRequest) -> Ticking:
    ticking: Ticking = request.param()
    return ticking


async def test_time_is_utc_in_whole_milliseconds(ticking: Ticking) -> None:
    now = ticking.clock.now()

    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0


async def test_time_never_goes_backwards(ticking: Ticking) -> None:
    times = [ticking.clock.now() for _ in range(1000)]

    assert times == sorted(times)


async def test_callbacks_run_once_in_the_order_of_their_delays(ticking: Ticking) -> None:
    calls: list[str] = []
    ticking.clock.call_later(timedelta(milliseconds=20), lambda: calls.append("second"))
    ticking.clock.call_later(timedelta(milliseconds=10), lambda: calls.append("first"))
    assert calls == []

    await ticking.pass_time(timedelta(milliseconds=40))

    assert calls == ["first", "second"]


async def test_callback_does_not_run_early(ticking: Ticking) -> None:
    has_run = asyncio.Event()
    times = [ticking.clock.now()]

    def callback() -> None:
        times.append(ticking.clock.now())
        has_run.set()

    ticking.clock.call_later(timedelta(milliseconds=20), callback)
    await ticking.pass_time(timedelta(milliseconds=20))
    async with asyncio.timeout(60):
        await has_run.wait()

    # `now` is truncated to whole milliseconds.
    assert times[1] - times[0] >= timedelta(milliseconds=19)


@pytest.mark.parametrize("milliseconds", [0, -1000])
async def test_callback_without_delay_runs_soon_but_not_immediately(
    ticking: Ticking, milliseconds: int
) -> None:
    calls: list[str] = []

    ticking.clock.call_later(timedelta(milliseconds=milliseconds), lambda: calls.append("callback"))
    assert calls == []
    await ticking.pass_time(timedelta(milliseconds=1))

    assert calls == ["callback"]


async def test_callback_may_schedule_another_one(ticking: Ticking) -> None:
    calls: list[str] = []

    def first() -> None:
        calls.append("first")
        ticking.clock.call_later(timedelta(milliseconds=1), lambda: calls.append("second"))

    ticking.clock.call_later(timedelta(milliseconds=1), first)
    async with asyncio.timeout(60):
        while len(calls) < 2:
            await ticking.pass_time(timedelta(milliseconds=1))

    assert calls == ["first", "second"]


async def test_cancelled_callback_does_not_run(ticking: Ticking) -> None:
    calls: list[str] = []
    ticking.clock.call_later(timedelta(milliseconds=1), lambda: calls.append("callback")).cancel()

    await ticking.pass_time(timedelta(milliseconds=10))

    assert calls == []


async def test_cancelling_after_the_callback_ran_does_nothing(ticking: Ticking) -> None:
    calls: list[str] = []
    timer = ticking.clock.call_later(timedelta(0), lambda: calls.append("callback"))
    await ticking.pass_time(timedelta(milliseconds=1))

    timer.cancel()
    await ticking.pass_time(timedelta(milliseconds=1))

    assert calls == ["callback"]


def test_system_clock_continues_when_the_system_time_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SystemClock()
    before = clock.now()
    in_a_minute = time.monotonic_ns() + 60 * 10**9
    monkeypatch.setattr("socketio_app.adapters.system.time.time_ns", lambda: 0)
    monkeypatch.setattr("socketio_app.adapters.system.time.monotonic_ns", lambda: in_a_minute)

    assert timedelta(seconds=59) < clock.now() - before < timedelta(seconds=90)


def test_system_clock_follows_within_a_millisecond_when_the_system_time_is_set_forward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SystemClock()
    ahead = clock.now() + timedelta(hours=1)
    ahead_ns = int(ahead.timestamp() * 10**9)
    in_a_millisecond = time.monotonic_ns() + 1_000_000
    monkeypatch.setattr("socketio_app.adapters.system.time.time_ns", lambda: ahead_ns)
    monkeypatch.setattr("socketio_app.adapters.system.time.monotonic_ns", lambda: in_a_millisecond)

    assert abs(clock.now() - ahead) < timedelta(seconds=30)


def test_system_clock_has_the_system_time() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=30)


def test_wall_time_follows_when_the_system_time_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Set two hours ahead and back: only `now` stays ahead."""
    clock, correct_ns = SystemClock(), time.time_ns()
    monkeypatch.setattr(
        "socketio_app.adapters.system.time.time_ns", lambda: correct_ns + 7200 * 10**9
    )
    ahead = clock.now()
    monkeypatch.setattr("socketio_app.adapters.system.time.time_ns", lambda: correct_ns)

    assert clock.now() >= ahead
    assert abs(clock.wall_time() - datetime.now(UTC)) < timedelta(minutes=1)
