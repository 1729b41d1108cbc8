"""Serializing the reads of each user."""

import asyncio
from typing import Any

import pytest

from socketio_app.application.commands import CatchUp, FetchHistory, ListConversations
from socketio_app.domain.conversations import Person
from socketio_app.domain.history import Window
from tests.builders import ADA, BOB, EVE, personal
from tests.chat_harness import LiveChat
from tests.stores import HookedStore

pytestmark = pytest.mark.anyio


class ReadGate:
    """Blocks all reads of the store until it is opened, and counts those that are running."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.running = self.max_running = 0

    async def __call__(self, call: str) -> None:
        if call in {"page", "recent", "of_user", "newest"}:
            self.running += 1
            self.max_running = max(self.max_running, self.running)
            try:
                await self.is_open.wait()
            finally:
                self.running -= 1


def reads(live: LiveChat) -> list[Any]:
    return [
        FetchHistory(Person(EVE), Window()),
        ListConversations(),
        CatchUp(live.store.epoch, ()),
    ]


async def run_loop(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_user_has_one_read_at_a_time() -> None:
    gate = ReadGate()
    live = LiveChat(store=HookedStore(before=gate))
    devices = [await live.connect(ADA) for _ in range(5)]

    asked = [
        asyncio.ensure_future(device.execute(read)) for device in devices for read in reads(live)
    ]
    await run_loop(100)
    assert gate.running == 1

    gate.is_open.set()
    await asyncio.gather(*asked)
    assert gate.max_running == 1


async def test_other_users_do_not_wait() -> None:
    gate = ReadGate()
    live = LiveChat(store=HookedStore(before=gate))
    ada, bob = await live.connect(ADA), await live.connect(BOB)
    asked = [asyncio.ensure_future(each.execute(reads(live)[0])) for each in (ada, bob)]

    await run_loop(100)

    assert gate.running == 2
    gate.is_open.set()
    await asyncio.gather(*asked)


async def test_writes_do_not_wait_for_reads() -> None:
    gate = ReadGate()
    live = LiveChat(store=HookedStore(before=gate))
    phone, laptop = await live.connect(ADA), await live.connect(ADA)
    reading = asyncio.ensure_future(phone.execute(reads(live)[0]))
    await run_loop(100)

    assert (await laptop.execute(personal(BOB))).message.seq == 1

    gate.is_open.set()
    await reading
