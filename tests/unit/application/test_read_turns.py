"""Reads of one user take turns; reads of others do not wait for them."""

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


class Desk:
    """Holds up all reads of the store, and counts those that are under way."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.under_way = self.most = 0

    async def __call__(self, call: str) -> None:
        if call in {"page", "recent", "of_user", "newest"}:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                await self.is_open.wait()
            finally:
                self.under_way -= 1


def reads(live: LiveChat) -> list[Any]:
    return [
        FetchHistory(Person(EVE), Window()),
        ListConversations(),
        CatchUp(live.store.epoch, ()),
    ]


async def turns_of_the_loop(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_user_with_many_connections_has_one_read_in_the_store() -> None:
    desk = Desk()
    live = LiveChat(store=HookedStore(before=desk))
    devices = [await live.connect(ADA) for _ in range(5)]

    asked = [asyncio.ensure_future(device.do(read)) for device in devices for read in reads(live)]
    await turns_of_the_loop(100)
    assert desk.under_way == 1

    desk.is_open.set()
    await asyncio.gather(*asked)
    assert desk.most == 1


async def test_another_users_read_waits_for_none_of_them() -> None:
    desk = Desk()
    live = LiveChat(store=HookedStore(before=desk))
    ada, bob = await live.connect(ADA), await live.connect(BOB)
    asked = [asyncio.ensure_future(each.do(reads(live)[0])) for each in (ada, bob)]

    await turns_of_the_loop(100)

    assert desk.under_way == 2
    desk.is_open.set()
    await asyncio.gather(*asked)


async def test_users_own_writes_do_not_wait_for_their_reads() -> None:
    desk = Desk()
    live = LiveChat(store=HookedStore(before=desk))
    phone, laptop = await live.connect(ADA), await live.connect(ADA)
    reading = asyncio.ensure_future(phone.do(reads(live)[0]))
    await turns_of_the_loop(100)

    assert (await laptop.do(personal(BOB))).message.seq == 1

    desk.is_open.set()
    await reading
