"""New clients should come where the store answers, unless the server is ending."""

import asyncio
from datetime import timedelta

import pytest

from socketio_app.application.readiness import Readiness
from tests.stores import Gate, HookedStore, Outage

pytestmark = pytest.mark.anyio

LONG, SHORT = timedelta(seconds=30), timedelta(milliseconds=1)


async def test_a_store_that_answers_is_ready() -> None:
    readiness = Readiness(HookedStore(), LONG)

    assert await readiness.obstacle() is None


async def test_a_store_that_is_down_is_not_and_is_again_when_it_is_back() -> None:
    outage = Outage()
    readiness = Readiness(HookedStore(outage), LONG)

    outage.down.add("check")
    assert await readiness.obstacle() == "store_unavailable"

    outage.down.clear()
    assert await readiness.obstacle() is None


async def test_a_store_that_does_not_answer_is_waited_for_no_longer_than_the_limit() -> None:
    gate = Gate()
    gate.hold_next("check")

    readiness = Readiness(HookedStore(gate), SHORT)

    assert await readiness.obstacle() == "store_unavailable"


async def test_a_fault_of_the_stores_is_no_reason_to_send_clients() -> None:
    async def fault(_call: str) -> None:
        raise RuntimeError("a fault")

    assert await Readiness(HookedStore(fault), LONG).obstacle() == "store_unavailable"


async def test_while_the_server_ends_it_is_not_ready_and_the_store_is_not_asked() -> None:
    asked: list[str] = []

    async def note(call: str) -> None:
        asked.append(call)

    readiness = Readiness(HookedStore(note), LONG)
    readiness.drain()

    assert await readiness.obstacle() == "draining"
    assert asked == []


async def test_many_who_ask_at_once_ask_the_store_once_even_if_the_first_goes_away() -> None:
    gate, asked = Gate(), []

    async def held(call: str) -> None:
        asked.append(call)
        await gate(call)

    gate.hold_next("check")
    readiness = Readiness(HookedStore(held), LONG)
    first, *others = [asyncio.create_task(readiness.obstacle()) for _ in range(5)]
    await gate.reached()

    first.cancel()
    gate.let_go()

    assert await asyncio.gather(*others) == [None] * 4
    assert asked == ["check"]
