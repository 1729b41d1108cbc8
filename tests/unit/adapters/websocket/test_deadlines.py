"""A deadline that passes while the event loop is blocked leaves time to read what has arrived."""

import asyncio
import time

import pytest

from socketio_app.adapters.websocket.deadlines import GRACE_SECONDS, LATE_SECONDS, Deadline

pytestmark = pytest.mark.anyio


async def test_deadline_expires_after_delay() -> None:
    expired = asyncio.Event()
    begin = asyncio.get_running_loop().time()

    Deadline(0.05, expired.set)
    async with asyncio.timeout(10):
        await expired.wait()

    assert asyncio.get_running_loop().time() - begin >= 0.05


async def test_cancelled_deadline_does_not_expire() -> None:
    expired, other = asyncio.Event(), asyncio.Event()
    deadline = Deadline(0.01, expired.set)

    deadline.cancel()
    Deadline(0.02, other.set)
    async with asyncio.timeout(10):
        await other.wait()

    assert not expired.is_set()


async def test_deadline_after_blocked_loop_leaves_time_to_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socketio_app.adapters.websocket.deadlines.GRACE_SECONDS", 0.05)
    expired = asyncio.Event()
    Deadline(0.05, expired.set)

    time.sleep(0.05 + LATE_SECONDS + 0.1)  # noqa: ASYNC251  (the loop is blocked)
    free = asyncio.get_running_loop().time()
    async with asyncio.timeout(10):
        await expired.wait()

    assert asyncio.get_running_loop().time() - free >= 0.05


async def test_deadline_can_be_cancelled_after_blocked_loop() -> None:
    expired, other = asyncio.Event(), asyncio.Event()
    deadline = Deadline(0.01, expired.set)
    time.sleep(0.01 + LATE_SECONDS + 0.1)  # noqa: ASYNC251  (the loop is blocked)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    deadline.cancel()
    Deadline(GRACE_SECONDS + 0.05, other.set)
    async with asyncio.timeout(10):
        await other.wait()

    assert not expired.is_set()
