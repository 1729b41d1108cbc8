"""A thread that waits for the event loop gets an outcome, whatever becomes of the loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from socketio_app.application import calling_thread
from socketio_app.application.calling_thread import CallingThread
from socketio_app.domain.errors import Unavailable


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


async def ends(waiting: threading.Event) -> None:
    """Tell that the call has begun, and wait for what never comes."""
    waiting.set()
    await asyncio.Event().wait()


def call_while_loop_runs(
    loop: asyncio.AbstractEventLoop,
    call: Callable[[CallingThread], object],
    until: threading.Event | None = None,
) -> object:
    """Call in a thread while the loop runs: until the call has its outcome, or until an event."""
    with ThreadPoolExecutor(2) as threads:
        outcome = threads.submit(call, CallingThread(loop))
        awaited: Future[Any] = outcome if until is None else threads.submit(until.wait)

        async def run() -> None:
            await asyncio.gather(asyncio.wrap_future(awaited), return_exceptions=True)

        loop.run_until_complete(run())
        return outcome.result(timeout=60)


def test_thread_gets_the_result(loop: asyncio.AbstractEventLoop) -> None:
    assert call_while_loop_runs(loop, lambda thread: thread.wait_for(asyncio.sleep(0, 7))) == 7


def test_thread_gets_the_exception(loop: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise LookupError("missing")

    with pytest.raises(LookupError, match="missing"):
        call_while_loop_runs(loop, lambda thread: thread.wait_for(fail()))


def test_function_runs_in_the_waiting_thread(loop: asyncio.AbstractEventLoop) -> None:
    async def run_there() -> int:
        thread = calling_thread.calling_thread()
        assert thread is not None
        return await thread.run(threading.get_ident)

    def call(thread: CallingThread) -> bool:
        return thread.wait_for(run_there()) == threading.get_ident()

    assert call_while_loop_runs(loop, call)


def test_error_of_a_function_in_the_waiting_thread_is_raised_in_the_coroutine(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def run_there() -> str:
        thread = calling_thread.calling_thread()
        assert thread is not None
        try:
            await thread.run(lambda: int("no number"))
        except ValueError:
            return "caught"
        return "nothing"

    assert call_while_loop_runs(loop, lambda thread: thread.wait_for(run_there())) == "caught"


def test_no_thread_waits_for_an_ordinary_task(loop: asyncio.AbstractEventLoop) -> None:
    async def find() -> CallingThread | None:
        return calling_thread.calling_thread()

    assert loop.run_until_complete(find()) is None


def test_waiting_ends_when_the_loop_stops(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling_thread, "CHECK_SECONDS", 0.01)
    waiting = threading.Event()

    with pytest.raises(Unavailable, match="event loop of the chat has ended"):
        call_while_loop_runs(loop, lambda thread: thread.wait_for(ends(waiting)), until=waiting)
    _cancel_all(loop)


def test_waiting_ends_when_the_task_is_cancelled(loop: asyncio.AbstractEventLoop) -> None:
    async def cancel_oneself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(Unavailable, match="event loop of the chat has ended"):
        call_while_loop_runs(loop, lambda thread: thread.wait_for(cancel_oneself()))


def test_call_after_the_loop_was_closed_is_unavailable() -> None:
    loop = asyncio.new_event_loop()
    loop.close()

    with pytest.raises(Unavailable, match="event loop of the chat has ended"):
        CallingThread(loop).wait_for(asyncio.sleep(0))


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))
