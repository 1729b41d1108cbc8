"""Messages of a connection are handled in order, in bounded portions."""

import asyncio
from collections.abc import Callable
from itertools import count

import pytest

from socketio_app.adapters.websocket import turn
from socketio_app.adapters.websocket.handling import InTask, Work
from socketio_app.adapters.websocket.inbox import (
    MAX_WAITING,
    MAX_WAITING_BYTES,
    RESUME_WAITING,
    Inbox,
)
from socketio_app.adapters.websocket.turn import MAX_TURN_PACKETS, MAX_TURN_SECONDS
from tests.unit.adapters.websocket.inbox_handler import OVERTAKING, Handler

pytestmark = pytest.mark.anyio


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


async def test_work_that_needs_a_task_has_one_of_its_own() -> None:
    tasks: list[asyncio.Task[None] | None] = []

    async def note_task() -> None:
        tasks.append(asyncio.current_task())

    calling = Calling(lambda _: InTask(note_task()))
    inbox = Inbox[int](calling, calling, begins_outside_tasks=True, size=lambda _: 0)
    inbox.receive([1])
    await inbox.join()

    assert tasks[0] not in {None, asyncio.current_task()}


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
    handler.inbox.receive([OVERTAKING] * (MAX_WAITING + 2))
    assert handler.is_paused

    handler.inbox.hold()
    await handler.until(MAX_WAITING + 2)

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
    inbox = Inbox[int](calling, calling, begins_outside_tasks=True, size=lambda _: 0)
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
    inbox = Inbox[int](calling, calling, begins_outside_tasks=False, size=lambda _: 0)
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
