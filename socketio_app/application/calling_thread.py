"""Calling the chat from a thread that has no event loop, such as that of a `def` route.

The thread waits for the result. Meanwhile, it runs what only it may run: functions that use the
host's synchronous database session, which must not be used in another thread.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import ContextVar
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from socketio_app.application.cancellation import start_task
from socketio_app.application.futures import set_exception, set_result
from socketio_app.domain.errors import Unavailable

Result = TypeVar("Result")

ENDED: Final = "the event loop of the chat has ended"

CHECK_SECONDS: Final = 1.0
"""Interval at which a waiting thread checks that the event loop still runs."""


class CallingThread:
    """A thread that waits for a coroutine which the event loop runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._todo: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def wait_for(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the event loop, and return its result. Called in the thread.

        Raises:
            Unavailable: the event loop has ended.
        """
        outcome: Future[Result] = Future()
        try:
            self._loop.call_soon_threadsafe(self._start, work, outcome)
        except RuntimeError:
            work.close()
            raise Unavailable(ENDED) from None
        while not outcome.done():
            try:
                self._todo.get(timeout=CHECK_SECONDS)()
            except Empty:
                if not self._loop.is_running():
                    raise Unavailable(ENDED) from None
        return outcome.result()

    async def run(self, function: Callable[[], Result]) -> Result:
        """Run a function in the thread, and return its result. Called in the event loop."""
        outcome: asyncio.Future[Result] = self._loop.create_future()

        def run() -> None:
            try:
                settle: Callable[[], object] = partial(set_result, outcome, function())
            except BaseException as error:  # noqa: BLE001  (passed to the coroutine)
                settle = partial(set_exception, outcome, error)
            self._loop.call_soon_threadsafe(settle)

        self._todo.put(run)
        return await outcome

    def _start(self, work: Coroutine[Any, Any, Result], outcome: Future[Result]) -> None:
        token = _calling_thread.set(self)
        try:
            task = start_task(work)
        finally:
            _calling_thread.reset(token)
        task.add_done_callback(partial(self._finish, outcome))

    def _finish(self, outcome: Future[Result], task: asyncio.Task[Result]) -> None:
        error = Unavailable(ENDED) if task.cancelled() else task.exception()
        if error is None:
            outcome.set_result(task.result())
        else:
            outcome.set_exception(error)
        self._todo.put(_nothing)


_calling_thread: ContextVar[CallingThread | None] = ContextVar("calling_thread", default=None)


def calling_thread() -> CallingThread | None:
    """Return the thread that waits for the current task, if any."""
    return _calling_thread.get()


def _nothing() -> None:
    """Wake the thread."""
