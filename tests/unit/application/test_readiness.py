"""Readiness of the server."""

import asyncio
from datetime import timedelta

import pytest

from socketio_app.application.ports import Store
from socketio_app.application.readiness import Readiness
from tests.stores import Gate, HookedStore, Outage

pytestmark = pytest.mark.anyio


def opened(store: Store, limit: timedelta) -> Readiness:
    readiness = Readiness(store, limit)
    readiness.open()
    return readiness


LONG, SHORT = timedelta(seconds=30), timedelta(milliseconds=1)


async def test_available_store_is_ready() -> None:
    readiness = opened(HookedStore(), LONG)

    assert await readiness.not_ready_reason() is None


async def test_server_that_has_not_started_is_not_ready() -> None:
    readiness = Readiness(HookedStore(), LONG)

    assert await readiness.not_ready_reason() == "not_started"


async def test_readiness_follows_availability_of_store() -> None:
    outage = Outage()
    readiness = opened(HookedStore(outage), LONG)

    outage.down.add("check")
    assert await readiness.not_ready_reason() == "store_unavailable"

    outage.down.clear()
    assert await readiness.not_ready_reason() is None


async def test_store_check_times_out() -> None:
    gate = Gate()
    gate.hold_next("check")

    readiness = opened(HookedStore(gate), SHORT)

    assert await readiness.not_ready_reason() == "store_unavailable"


async def test_unexpected_error_of_store_is_not_ready() -> None:
    async def fail(_call: str) -> None:
        raise RuntimeError("a fault")

    assert await opened(HookedStore(fail), LONG).not_ready_reason() == "store_unavailable"


async def test_draining_server_is_not_ready_without_store_check() -> None:
    calls: list[str] = []

    async def record(call: str) -> None:
        calls.append(call)

    readiness = opened(HookedStore(record), LONG)
    readiness.drain()

    assert await readiness.not_ready_reason() == "draining"
    assert calls == []


async def test_concurrent_checks_share_one_store_check() -> None:
    gate, calls = Gate(), []

    async def held(call: str) -> None:
        calls.append(call)
        await gate(call)

    gate.hold_next("check")
    readiness = opened(HookedStore(held), LONG)
    first, *others = [asyncio.create_task(readiness.not_ready_reason()) for _ in range(5)]
    await gate.reached()

    first.cancel()
    gate.release()

    assert await asyncio.gather(*others) == [None] * 4
    assert calls == ["check"]
