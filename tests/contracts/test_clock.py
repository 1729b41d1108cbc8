"""What every clock does."""

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
    """A clock, and a way to let time pass."""

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
    made: Ticking = request.param()
    return made


async def test_the_time_is_utc_in_whole_milliseconds(ticking: Ticking) -> None:
    now = ticking.clock.now()

    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0


async def test_the_time_never_runs_backwards(ticking: Ticking) -> None:
    times = [ticking.clock.now() for _ in range(1000)]

    assert times == sorted(times)


async def test_what_is_due_later_happens_then_and_once(ticking: Ticking) -> None:
    happened: list[str] = []
    ticking.clock.call_later(timedelta(milliseconds=20), lambda: happened.append("second"))
    ticking.clock.call_later(timedelta(milliseconds=10), lambda: happened.append("first"))
    assert happened == []

    await ticking.pass_time(timedelta(milliseconds=40))

    assert happened == ["first", "second"]


async def test_nothing_happens_before_its_time(ticking: Ticking) -> None:
    happened = asyncio.Event()
    times = [ticking.clock.now()]

    def happen() -> None:
        times.append(ticking.clock.now())
        happened.set()

    ticking.clock.call_later(timedelta(milliseconds=20), happen)
    await ticking.pass_time(timedelta(milliseconds=20))
    async with asyncio.timeout(60):
        await happened.wait()

    # What `now` says is cut off to whole milliseconds.
    assert times[1] - times[0] >= timedelta(milliseconds=19)


@pytest.mark.parametrize("milliseconds", [0, -1000])
async def test_what_is_overdue_happens_soon_but_not_at_once(
    ticking: Ticking, milliseconds: int
) -> None:
    happened: list[str] = []

    ticking.clock.call_later(timedelta(milliseconds=milliseconds), lambda: happened.append("it"))
    assert happened == []
    await ticking.pass_time(timedelta(milliseconds=1))

    assert happened == ["it"]


async def test_what_happens_may_call_for_more(ticking: Ticking) -> None:
    happened: list[str] = []

    def first() -> None:
        happened.append("first")
        ticking.clock.call_later(timedelta(milliseconds=1), lambda: happened.append("second"))

    ticking.clock.call_later(timedelta(milliseconds=1), first)
    async with asyncio.timeout(60):
        while len(happened) < 2:
            await ticking.pass_time(timedelta(milliseconds=1))

    assert happened == ["first", "second"]


async def test_what_is_cancelled_does_not_happen(ticking: Ticking) -> None:
    happened: list[str] = []
    ticking.clock.call_later(timedelta(milliseconds=1), lambda: happened.append("it")).cancel()

    await ticking.pass_time(timedelta(milliseconds=10))

    assert happened == []


async def test_cancelling_what_has_happened_is_harmless(ticking: Ticking) -> None:
    happened: list[str] = []
    timer = ticking.clock.call_later(timedelta(0), lambda: happened.append("it"))
    await ticking.pass_time(timedelta(milliseconds=1))

    timer.cancel()
    await ticking.pass_time(timedelta(milliseconds=1))

    assert happened == ["it"]


def test_the_system_clock_goes_on_where_the_machines_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SystemClock()
    before = clock.now()
    in_a_minute = time.monotonic_ns() + 60 * 10**9
    monkeypatch.setattr("socketio_app.adapters.system.time.time_ns", lambda: 0)
    monkeypatch.setattr("socketio_app.adapters.system.time.monotonic_ns", lambda: in_a_minute)

    assert timedelta(seconds=59) < clock.now() - before < timedelta(seconds=90)


def test_the_system_clock_follows_where_the_machines_is_set_forward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SystemClock()
    ahead = clock.now() + timedelta(hours=1)
    ahead_ns = int(ahead.timestamp() * 10**9)
    monkeypatch.setattr("socketio_app.adapters.system.time.time_ns", lambda: ahead_ns)

    assert abs(clock.now() - ahead) < timedelta(seconds=30)


def test_the_system_clock_says_the_machines_time() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=30)


def test_wall_time_follows_the_machine_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours ahead and back: only what has to be in order stays ahead."""
    clock, correct_ns = SystemClock(), time.time_ns()
    monkeypatch.setattr(
        "socketio_app.adapters.system.time.time_ns", lambda: correct_ns + 7200 * 10**9
    )
    ahead = clock.now()
    monkeypatch.setattr("socketio_app.adapters.system.time.time_ns", lambda: correct_ns)

    assert clock.now() >= ahead
    assert abs(clock.wall_time() - datetime.now(UTC)) < timedelta(minutes=1)
