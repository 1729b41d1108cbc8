"""Messages of a connection are handled in order, in bounded portions."""

import asyncio
from collections.abc import Callable
from itertools import count

import pytest

from socketio_app.adapters.websocket import turn
from socketio_app.adapters.websocket.handling import Work
from socketio_app.adapters.websocket.inbox import (
    MAX_GROUPED,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    RESUME_WAITING,
    Inbox,
)
from socketio_app.adapters.websocket.turn import MAX_TURN_PACKETS, MAX_TURN_SECONDS

pytestmark = pytest.mark.anyio

OVERTAKING = 1000


class Handler:
    """Handles numbers; odd ones wait for `proceed`."""

    def __init__(self, *, at_once: bool) -> None:
        self.handled: list[int | str] = []
        self.proceed = asyncio.Semaphore(0)
        self.is_paused = False
        self.inbox = Inbox(self, self, at_once=lambda _: at_once, size=lambda number: number)

    async def receive(self, number: int) -> None:
        if number % 2:
            await self.proceed.acquire()
        self.handled.append(number)

    async def last(self) -> None:
        self.handled.append("last")

    def begin_grouped(self, _number: int, _on_done: Callable[[], None]) -> bool:
        raise AssertionError("messages are not grouped")

    def overtakes(self, number: int) -> bool:
        if number != OVERTAKING:
            return False
        self.handled.append(number)
        return True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.handled) < count:
                await asyncio.sleep(0)


class Calling:
    """Handles numbers with a function."""

    def __init__(self, handle: Callable[[int], Work]) -> None:
        self.receive = handle

    def begin_grouped(self, _number: int, _on_done: Callable[[], None]) -> bool:
        raise AssertionError("messages are not grouped")

    def overtakes(self, _number: int) -> bool:
        return False

    def pause_reading(self) -> None:
        raise AssertionError("few messages wait")

    resume_reading = pause_reading


@pytest.fixture(params=[True, False], ids=["at once", "in a task"])
async def handler(request: pytest.FixtureRequest) -> Handler:
    return Handler(at_once=request.param)


async def test_message_that_does_not_wait_is_handled_without_task() -> None:
    handler = Handler(at_once=True)
    tasks = asyncio.all_tasks()

    handler.inbox.receive([0, 2, 4])

    assert handler.handled == [0, 2, 4]
    assert asyncio.all_tasks() == tasks


async def test_messages_are_handled_in_order(handler: Handler) -> None:
    for number in range(10):
        handler.inbox.receive([number])
        if number % 3 == 0:
            handler.proceed.release()
    for _ in range(10):
        handler.proceed.release()

    await handler.until(10)

    assert handler.handled == list(range(10))


async def test_finish_runs_after_all_messages(handler: Handler) -> None:
    handler.inbox.receive([0, 1, 2])
    handler.inbox.finish(handler.last)
    assert "last" not in handler.handled

    handler.proceed.release()
    await handler.until(4)

    assert handler.handled == [0, 1, 2, "last"]


async def test_finish_runs_without_messages(handler: Handler) -> None:
    handler.inbox.finish(handler.last)

    await handler.until(1)

    assert handler.handled == ["last"]


async def test_many_messages_are_handled_in_several_ticks(handler: Handler) -> None:
    handler.inbox.receive([0] * (3 * MAX_TURN_PACKETS))

    assert len(handler.handled) <= MAX_TURN_PACKETS
    await asyncio.sleep(0)
    assert len(handler.handled) <= 2 * MAX_TURN_PACKETS
    await handler.until(3 * MAX_TURN_PACKETS)


async def test_slow_messages_are_handled_in_several_ticks(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading of the clock advances it by a third of a turn."""
    times = count()
    monkeypatch.setattr(turn, "perf_counter", lambda: next(times) * MAX_TURN_SECONDS / 3)

    handler.inbox.receive([0] * MAX_TURN_PACKETS)

    assert len(handler.handled) <= 3
    await asyncio.sleep(0)
    assert len(handler.handled) <= 6
    await handler.until(MAX_TURN_PACKETS)


async def test_reading_pauses_while_many_bytes_are_unhandled(
    handler: Handler,
) -> None:
    half = MAX_WAITING_BYTES // 2 + 1
    handler.inbox.receive([half | 1, half | 1, half | 1])
    assert handler.is_paused

    handler.proceed.release()
    await handler.until(1)
    handler.proceed.release()
    await handler.until(2)
    handler.proceed.release()
    await handler.until(3)

    assert not handler.is_paused


async def test_held_inbox_handles_overtaking_messages_only(handler: Handler) -> None:
    handler.inbox.hold()
    handler.inbox.receive([0, OVERTAKING, 2])
    for _ in range(5):
        await asyncio.sleep(0)
    assert handler.handled == [OVERTAKING]

    handler.inbox.release()
    await handler.until(3)

    assert handler.handled == [OVERTAKING, 0, 2]


async def test_released_inbox_continues_in_order(handler: Handler) -> None:
    handler.inbox.receive([0, 1, 2])
    await handler.until(1)
    for _ in range(5):
        await asyncio.sleep(0)
    handler.inbox.hold()
    handler.proceed.release()
    await handler.until(2)
    for _ in range(5):
        await asyncio.sleep(0)
    assert handler.handled == [0, 1]

    handler.inbox.release()
    handler.inbox.receive([4])
    await handler.until(4)

    assert handler.handled == [0, 1, 2, 4]


async def test_hold_lets_queued_message_overtake(
    handler: Handler,
) -> None:
    """Otherwise a pong behind a slow command would be late, and its connection would time out."""
    handler.inbox.receive([1, 2])
    handler.inbox.receive([OVERTAKING, 4])
    await asyncio.sleep(0)
    assert handler.handled == []

    handler.inbox.hold()
    await handler.until(1)

    assert handler.handled == [OVERTAKING]
    handler.proceed.release()
    handler.inbox.release()
    await handler.until(4)
    assert handler.handled == [OVERTAKING, 1, 2, 4]


async def test_release_without_remaining_messages_ends_task() -> None:
    handler = Handler(at_once=False)
    handler.inbox.hold()
    handler.inbox.release()
    handler.inbox.receive([OVERTAKING])
    handler.inbox.hold()
    task = handler.inbox._task
    assert task is not None
    await handler.until(1)
    await asyncio.sleep(0)

    handler.inbox.release()
    await task

    assert handler.handled == [OVERTAKING]


async def test_reading_resumes_when_overtaking_messages_were_handled() -> None:
    handler = Handler(at_once=False)
    handler.inbox.receive([OVERTAKING] * (MAX_WAITING + 1))
    assert handler.is_paused

    handler.inbox.hold()
    await handler.until(MAX_WAITING + 1)

    assert not handler.is_paused
    handler.inbox.finish(handler.last)
    await handler.inbox.join()


async def test_message_overtakes_message_that_holds_inbox() -> None:
    handler = Handler(at_once=True)

    async def hold(_number: int) -> None:
        handler.inbox.hold()

    handler.receive = hold  # type: ignore[method-assign, assignment]
    handler.inbox.receive([0, OVERTAKING, 2])

    assert handler.handled == [OVERTAKING]
    handler.inbox.finish(handler.last)
    await handler.inbox.join()


async def test_message_that_holds_inbox_stops_later_messages() -> None:
    handled: list[int] = []

    async def handle(number: int) -> None:
        handled.append(number)
        inbox.hold()

    calling = Calling(handle)
    inbox = Inbox[int](calling, calling, at_once=lambda _: True, size=lambda _: 0)
    inbox.receive([1, 2])
    await asyncio.sleep(0)

    assert handled == [1]
    inbox.release()
    await inbox.join()
    assert handled == [1, 2]


async def test_finish_releases_held_messages(handler: Handler) -> None:
    handler.inbox.hold()
    handler.inbox.receive([0, 2])

    handler.inbox.finish(handler.last)
    await handler.until(3)

    assert handler.handled == [0, 2, "last"]


async def test_reading_pauses_while_many_messages_are_unhandled(handler: Handler) -> None:
    handler.inbox.receive([1] * (MAX_WAITING + 2))
    assert handler.is_paused

    for _ in range(MAX_WAITING - RESUME_WAITING):
        handler.proceed.release()
    await handler.until(MAX_WAITING - RESUME_WAITING)
    assert handler.is_paused
    for _ in range(RESUME_WAITING + 2):
        handler.proceed.release()
    await handler.until(MAX_WAITING + 2)

    assert not handler.is_paused


async def test_finish_runs_after_cancelled_message() -> None:
    done = asyncio.Event()

    async def handle(_message: int) -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def last() -> None:
        done.set()

    calling = Calling(handle)
    inbox = Inbox[int](calling, calling, at_once=lambda _: False, size=lambda _: 0)
    inbox.receive([1])
    inbox.finish(last)

    async with asyncio.timeout(60):
        await done.wait()


async def test_stopped_reading_is_never_resumed(handler: Handler) -> None:
    handler.inbox.receive([1] * (MAX_WAITING + 2))

    handler.inbox.stop_reading()
    for _ in range(MAX_WAITING + 2):
        handler.proceed.release()
    await handler.inbox.join()

    assert len(handler.handled) == MAX_WAITING + 2
    assert handler.is_paused


class GroupHandler(Handler):
    """Even numbers are grouped, and done when `complete` is called."""

    def __init__(self) -> None:
        super().__init__(at_once=True)
        self.group: list[tuple[int, Callable[[], None]]] = []
        self.inbox = Inbox(
            self, self, at_once=lambda _: True, size=lambda number: number, groups=True
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
