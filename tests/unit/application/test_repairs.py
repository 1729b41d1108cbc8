"""Work that waits until the store can be read."""

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


def noting(done: list[str], name: str) -> Callable[[], Awaitable[None]]:
    async def repair() -> None:
        done.append(name)

    return repair


async def test_a_repair_is_done_soon(repairs: Repairs) -> None:
    done: list[str] = []

    repairs.request("a", noting(done, "a"))
    await wait_all_tasks_blocked()

    assert done == ["a"]


async def test_a_repair_is_tried_again_until_the_store_answers(
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


async def test_others_wait_while_the_store_is_unavailable(
    repairs: Repairs, clock: ManualClock
) -> None:
    done: list[str] = []

    async def fail() -> None:
        done.append("failed")
        raise Unavailable("down")

    repairs.request("a", fail)
    await wait_all_tasks_blocked()
    repairs.request("b", noting(done, "b"))
    await wait_all_tasks_blocked()
    assert done == ["failed"]

    clock.advance(timedelta(seconds=1))
    await wait_all_tasks_blocked()

    assert "b" in done


async def test_repairs_of_one_key_run_one_after_the_other_and_few_at_a_time(
    repairs: Repairs,
) -> None:
    running: list[str] = []
    most = 0
    going = asyncio.Event()

    def repair(name: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            nonlocal most
            assert name not in running
            running.append(name)
            most = max(most, len(running))
            await going.wait()
            running.remove(name)

        return run

    for name in ("a", "a", *"bcdefg"):
        repairs.request(name, repair(name))
        await asyncio.sleep(0)
    await wait_all_tasks_blocked()
    assert most == MAX_RUNNING
    going.set()
    await wait_all_tasks_blocked()

    assert running == []


async def test_a_fault_is_logged_and_holds_up_nothing(
    repairs: Repairs, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    async def fail() -> None:
        raise ValueError("a fault")

    repairs.request("a", fail)
    repairs.request("b", noting(done, "b"))
    with caplog.at_level(logging.ERROR):
        await wait_all_tasks_blocked()

    assert done == ["b"]
    assert [record.message for record in caplog.records] == ["repair failed"]


async def test_none_begins_after_the_end_until_the_next_beginning(
    repairs: Repairs, clock: ManualClock
) -> None:
    done: list[str] = []

    async def fail() -> None:
        raise Unavailable("down")

    repairs.request("a", fail)
    await wait_all_tasks_blocked()
    repairs.close()
    repairs.request("b", noting(done, "b"))
    clock.advance(timedelta(seconds=1))
    await wait_all_tasks_blocked()
    assert done == []

    repairs.open()
    repairs.request("c", noting(done, "c"))
    await wait_all_tasks_blocked()

    assert done == ["c"]
