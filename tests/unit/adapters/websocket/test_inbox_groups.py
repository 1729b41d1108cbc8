"""Consecutive messages of a connection can begin before the earlier ones are done."""

import asyncio
from collections.abc import Callable

import pytest

from socketio_app.adapters.websocket.inbox import (
    MAX_GROUPED,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    Inbox,
)
from tests.unit.adapters.websocket.inbox_handler import OVERTAKING, Handler

pytestmark = pytest.mark.anyio


class GroupHandler(Handler):
    """Even numbers are grouped, and done when `complete` is called."""

    def __init__(self) -> None:
        super().__init__(at_once=True)
        self.group: list[tuple[int, Callable[[], None]]] = []
        self.inbox = Inbox(
            self, self, begins_outside_tasks=True, size=lambda number: number, groups=True
        )

    def begin_grouped(self, number: int, on_done: Callable[[], None]) -> bool:
        if number % 2 or number == OVERTAKING:
            return False
        self.group.append((number, on_done))
        return True

    def complete(self) -> None:
        group, self.group = self.group, []
        for number, on_done in group:
            self.handled.append(number)
            on_done()


async def test_group_begins_without_waiting_and_without_a_task() -> None:
    handler = GroupHandler()
    tasks = asyncio.all_tasks()

    handler.inbox.receive([0, 2])
    handler.inbox.receive([4])

    assert [number for number, _ in handler.group] == [0, 2, 4]
    assert asyncio.all_tasks() == tasks


async def test_message_of_another_kind_waits_for_the_group_and_the_next_group_for_it() -> None:
    handler = GroupHandler()
    handler.proceed.release()

    handler.inbox.receive([0, 2, 1, 4])
    assert [number for number, _ in handler.group] == [0, 2]
    handler.complete()
    await handler.until(3)
    while not handler.group:
        await asyncio.sleep(0)
    handler.complete()

    assert handler.handled == [0, 2, 1, 4]


async def test_message_that_may_overtake_does_not_end_the_group() -> None:
    handler = GroupHandler()

    handler.inbox.receive([0, OVERTAKING, 2])

    assert handler.handled == [OVERTAKING]
    assert [number for number, _ in handler.group] == [0, 2]


async def test_group_is_bounded_and_counts_as_unhandled() -> None:
    handler = GroupHandler()

    for _ in range(MAX_WAITING):
        handler.inbox.receive([2])
    assert len(handler.group) == MAX_GROUPED
    assert not handler.is_paused
    handler.inbox.receive([2])
    assert handler.is_paused

    while handler.group:
        handler.complete()
        await asyncio.sleep(0)
    assert handler.handled == [2] * (MAX_WAITING + 1)
    assert not handler.is_paused


async def test_size_of_group_is_bounded() -> None:
    handler = GroupHandler()

    handler.inbox.receive([MAX_WAITING_BYTES])
    handler.inbox.receive([2])
    assert len(handler.group) == 2
    handler.inbox.receive([2])

    assert len(handler.group) == 2
    assert handler.is_paused


async def test_finish_and_join_wait_for_the_group() -> None:
    handler = GroupHandler()
    handler.inbox.receive([0, 2])
    joining = asyncio.create_task(handler.inbox.join())

    handler.inbox.finish(handler.last)
    await asyncio.sleep(0)
    assert handler.handled == []
    assert not joining.done()
    handler.complete()
    await joining

    assert handler.handled == [0, 2, "last"]


async def test_error_while_a_message_begins_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = GroupHandler()

    def fail(_number: int, _on_done: Callable[[], None]) -> bool:
        raise LookupError

    monkeypatch.setattr(handler, "begin_grouped", fail)
    handler.inbox.receive([0])
    await handler.inbox.join()

    assert "internal error while handling a client's message" in caplog.text
