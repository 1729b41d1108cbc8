"""Threads for functions that block.

They are daemon threads, unlike those of an executor: a function that hangs does not keep the
process from exiting.
"""

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

import attrs

Outcome = tuple[Any, Exception | None]
"""The result of a function, or what it raised."""


@attrs.frozen
class _Work:
    function: Callable[[Any], Any]
    argument: object
    outcome: "asyncio.Future[Outcome]"
    loop: asyncio.AbstractEventLoop


class Threads:
    """Runs functions in as many threads as there are concurrent calls. Callers bound these."""

    def __init__(self) -> None:
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads = 0
        self._busy = 0

    async def run(self, function: Callable[[Any], Any], argument: object) -> Any:
        """Call a function in a thread, and return its result or raise its exception.

        A call cannot be cancelled: if the caller is, this raises CancelledError once it has ended.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        self._busy += 1
        if self._busy > self._threads:
            self._threads += 1
            Thread(target=self._run, name="socketio-app-hook", daemon=True).start()
        self._work.put(_Work(function, argument, outcome, loop))
        try:
            await asyncio.wait([outcome])
        except asyncio.CancelledError:
            await asyncio.wait([outcome])
            raise
        finally:
            self._busy -= 1
        result, error = outcome.result()
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End the threads, each after its call. No function may be run later."""
        for _ in range(self._threads):
            self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            outcome: Outcome
            try:
                outcome = work.function(work.argument), None
            except Exception as error:  # noqa: BLE001  (passed to the caller)
                outcome = None, error
            except BaseException as error:  # noqa: BLE001  (would end the caller's event loop)
                exited = RuntimeError(f"the function raised {type(error).__name__}")
                outcome = None, exited.with_traceback(error.__traceback__)
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                work.loop.call_soon_threadsafe(work.outcome.set_result, outcome)
