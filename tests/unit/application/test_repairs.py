"""Repairs, which wait until the store can be read."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.application.repairs import MAX_RUNNING, RETRY_DELAY, Repairs
from socketio_app.domain.errors import Unavailable
from tests.clocks import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def repairs(clock: ManualClock) -> Repairs:
    return Repairs(clock)


def recording(done: list[str], name: str) -> Callable[[], Awaitable[None]]:
    async def repair() -> None:
        done.append(name)

    return repair


async def test_repair_runs_in_background(repairs: Repairs) -> None:
    done: list[str] = []

    repairs.request("a", recording(done, "a"))
    await wait_all_tasks_blocked()

    assert done == ["a"]


async def test_repair_is_retried_until_store_is_available(
    repairs: Repairs, clock: ManualClock
) -> None:
    outcomes: list[Exception | None] = [Unavailable("down"), Unavailable("down"), None]
    left = list(outcomes)

    async def repair() -> None:
        outcome = left.pop(0)
        if outcome is not None:
            raise outcome

    repairs.request("a", repair)
    for tried in (1, 2, 3):
        await wait_all_tasks_blocked()
        assert len(left) == len(outcomes) - tried
        clock.advance(RETRY_DELAY)
    await wait_all_tasks_blocked()

    assert left == []


async def test_other_repairs_wait_while_store_is_unavailable(
    repairs: Repairs, clock: ManualClock
) -> None:
    done: list[str] = []

    async def fail() -> None:
        done.append("failed")
        raise Unavailable("down")

    repairs.request("a", fail)
    await wait_all_tasks_blocked()
    repairs.request("b", recording(done, "b"))
    await wait_all_tasks_blocked()
    assert done == ["failed"]

    clock.advance(timedelta(seconds=1))
    await wait_all_tasks_blocked()

    assert "b" in done


async def test_concurrency_is_limited_and_same_key_is_serialized(
    repairs: Repairs,
) -> None:
    running: list[str] = []
    max_running = 0
    finish = asyncio.Event()

    def repair(name: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            nonlocal max_running
            assert name not in running
            running.append(name)
            max_running = max(max_running, len(running))
            await finish.wait()
            running.remove(name)

        return run

    for name in ("a", "a", *"bcdefg"):
        repairs.request(name, repair(name))
        await asyncio.sleep(0)
    await wait_all_tasks_blocked()
    assert max_running == MAX_RUNNING
    finish.set()
    await wait_all_tasks_blocked()

    assert running == []


async def test_error_is_logged_and_does_not_block_others(
    repairs: Repairs, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    async def fail() -> None:
        raise ValueError("a fault")

    repairs.request("a", fail)
    repairs.request("b", recording(done, "b"))
    with caplog.at_level(logging.ERROR):
        await wait_all_tasks_blocked()

    assert done == ["b"]
    assert [record.message for record in caplog.records] == ["repair failed"]


async def test_no_repair_starts_between_close_and_open(
    repairs: Repairs, clock: ManualClock
) -> None:
    done: list[str] = []

    async def fail() -> None:
        raise Unavailable("down")

    repairs.request("a", fail)
    await wait_all_tasks_blocked()
    repairs.close()
    repairs.request("b", recording(done, "b"))
    clock.advance(timedelta(seconds=1))
    await wait_all_tasks_blocked()
    assert done == []

    repairs.open()
    repairs.request("c", recording(done, "c"))
    await wait_all_tasks_blocked()

    assert done == ["c"]
