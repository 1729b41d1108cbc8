"""One at a time for each key."""

import asyncio

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.application.locks import KeyedLock

pytestmark = pytest.mark.anyio


async def hold(lock: KeyedLock, key: str, name: str, log: list[str], until: asyncio.Event) -> None:
    async with lock.holding(key):
        log.append(f"{name} in")
        await until.wait()
        log.append(f"{name} out")


async def test_one_key_is_held_by_one_at_a_time_first_come_first_served() -> None:
    lock, log, until = KeyedLock(), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(hold(lock, "key", name, log, until)) for name in "abc"]
    await wait_all_tasks_blocked()
    assert log == ["a in"]

    until.set()
    await asyncio.gather(*tasks)

    assert log == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_another_key_is_held_meanwhile() -> None:
    lock, log, until = KeyedLock(), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(hold(lock, name, name, log, until)) for name in "ab"]
    await wait_all_tasks_blocked()

    assert log == ["a in", "b in"]
    until.set()
    await asyncio.gather(*tasks)


async def test_a_key_is_free_after_an_error() -> None:
    lock = KeyedLock()
    with pytest.raises(LookupError):
        async with lock.holding("key"):
            raise LookupError

    async with asyncio.timeout(60), lock.holding("key"):
        pass


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    lock, log, until = KeyedLock(), list[str](), asyncio.Event()
    a, b, c = [asyncio.create_task(hold(lock, "key", name, log, until)) for name in "abc"]
    await wait_all_tasks_blocked()

    b.cancel()
    until.set()
    await asyncio.gather(a, c)

    assert log == ["a in", "a out", "c in", "c out"]


async def test_who_is_cancelled_while_holding_lets_the_next_in() -> None:
    lock, log, until = KeyedLock(), list[str](), asyncio.Event()
    a, b = [asyncio.create_task(hold(lock, "key", name, log, until)) for name in "ab"]
    await wait_all_tasks_blocked()

    a.cancel()
    await wait_all_tasks_blocked()

    assert log == ["a in", "b in"]
    until.set()
    await b


async def test_nothing_is_kept_of_a_key_that_nobody_holds_or_awaits() -> None:
    lock, until = KeyedLock(), asyncio.Event()
    tasks = [asyncio.create_task(hold(lock, "key", name, [], until)) for name in "abc"]
    await wait_all_tasks_blocked()
    assert lock._locks

    tasks[1].cancel()
    until.set()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert not lock._locks
