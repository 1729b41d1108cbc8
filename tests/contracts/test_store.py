"""What every store promises about itself."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Room
from socketio_app.domain.history import Window
from socketio_app.domain.messaging import Stored
from tests.builders import ADA, LOBBY, NOON, draft

pytestmark = pytest.mark.anyio


async def test_second_start_does_nothing(store: Store) -> None:
    epoch = store.epoch
    stored = await store.messages.append(draft(Room(LOBBY)))

    await store.start()

    assert store.epoch == epoch
    page = await store.messages.page(Room(LOBBY), Window())
    assert list(page.messages) == [stored.message]


async def test_store_that_is_started_again_has_its_data(store: Store) -> None:
    epoch = store.epoch
    stored = await store.messages.append(draft(Room(LOBBY)))
    await store.rooms.join(LOBBY, ADA, NOON)

    await store.close()
    await store.start()

    assert store.epoch == epoch
    page = await store.messages.page(Room(LOBBY), Window())
    assert list(page.messages) == [stored.message]
    assert list(await store.rooms.rooms_of(ADA)) == [LOBBY]


async def test_check_of_started_store_passes(store: Store) -> None:
    await store.check()


async def test_transactions_are_watched_if_there_are_any(store: Store) -> None:
    transactions = store.capabilities.transactions
    if transactions is None:
        pytest.skip("has no transactions")
    writes: list[int] = []
    transactions.watch(lambda size, _seconds: writes.append(size))

    stored = await store.messages.append(draft(Room(LOBBY)))
    await store.messages.append(draft(Room(LOBBY)))

    assert stored.message.seq == 1
    assert sum(writes) == 2
    assert transactions.waiting == 0


async def test_append_that_does_not_wait_is_one_of_the_log(store: Store) -> None:
    append = store.capabilities.append
    if append is None:
        pytest.skip("appends wait")
    earlier = await store.messages.append(draft(Room(LOBBY)))
    message = draft(Room(LOBBY), client_message_id="c1")

    stored, again = append(message), append(message)
    later = await store.messages.append(draft(Room(LOBBY)))

    assert [stored.duplicate, again.duplicate] == [False, True]
    page = await store.messages.page(Room(LOBBY), Window())
    assert list(page.messages) == [each.message for each in (earlier, stored, later)]
    assert again.message == stored.message


async def test_store_that_needs_no_task_works_outside_tasks(store: Store) -> None:
    if not store.capabilities.runs_outside_tasks:
        pytest.skip("needs a task")
    loop = asyncio.get_running_loop()
    appended: asyncio.Future[Stored] = loop.create_future()

    loop.call_soon(resume, store.messages.append(draft(Room(LOBBY))), appended)

    assert (await appended).message.seq == 1


def resume(append: Coroutine[Any, Any, Stored], appended: asyncio.Future[Stored]) -> None:
    """Run a coroutine in callbacks of the event loop, and so outside of any task."""
    assert asyncio.current_task() is None
    try:
        waiting: asyncio.Future[object] = append.send(None)
    except StopIteration as end:
        appended.set_result(end.value)
    else:
        waiting.add_done_callback(lambda _: resume(append, appended))
