"""What every clock does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta

import attrs
import pytest

from socketio_app.adapters.system import SystemClock, new_message_id
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


async def test_what_is_cancelled_does_not_happen(ticking: Ticking) -> None:
    happened: list[str] = []
    ticking.clock.call_later(timedelta(milliseconds=1), lambda: happened.append("it")).cancel()

    await ticking.pass_time(timedelta(milliseconds=10))

    assert happened == []


def test_the_system_clock_goes_on_where_the_machines_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SystemClock()
    before = clock.now()
    monkeypatch.setattr("socketio_app.adapters.system.time.time", lambda: 0.0)

    assert clock.now() >= before


def test_message_ids_are_unique_and_rise() -> None:
    ids = [new_message_id() for _ in range(10_000)]

    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)
