"""Locks by key."""

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


async def test_lock_is_exclusive_and_fair() -> None:
    lock, log, until = KeyedLock(), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(hold(lock, "key", name, log, until)) for name in "abc"]
    await wait_all_tasks_blocked()
    assert log == ["a in"]

    until.set()
    await asyncio.gather(*tasks)

    assert log == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_other_keys_can_be_held_concurrently() -> None:
    lock, log, until = KeyedLock(), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(hold(lock, name, name, log, until)) for name in "ab"]
    await wait_all_tasks_blocked()

    assert log == ["a in", "b in"]
    until.set()
    await asyncio.gather(*tasks)


async def test_lock_is_released_after_error() -> None:
    lock = KeyedLock()
    with pytest.raises(LookupError):
        async with lock.holding("key"):
            raise LookupError

    async with asyncio.timeout(60), lock.holding("key"):
        pass


async def test_cancelled_waiter_does_not_block_others() -> None:
    lock, log, until = KeyedLock(), list[str](), asyncio.Event()
    a, b, c = [asyncio.create_task(hold(lock, "key", name, log, until)) for name in "abc"]
    await wait_all_tasks_blocked()

    b.cancel()
    until.set()
    await asyncio.gather(a, c)

    assert log == ["a in", "a out", "c in", "c out"]


async def test_cancelled_holder_releases_lock() -> None:
    lock, log, until = KeyedLock(), list[str](), asyncio.Event()
    a, b = [asyncio.create_task(hold(lock, "key", name, log, until)) for name in "ab"]
    await wait_all_tasks_blocked()

    a.cancel()
    await wait_all_tasks_blocked()

    assert log == ["a in", "b in"]
    until.set()
    await b


async def test_unused_locks_are_removed() -> None:
    lock, until = KeyedLock(), asyncio.Event()
    tasks = [asyncio.create_task(hold(lock, "key", name, [], until)) for name in "abc"]
    await wait_all_tasks_blocked()
    assert lock._locks

    tasks[1].cancel()
    until.set()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert not lock._locks
