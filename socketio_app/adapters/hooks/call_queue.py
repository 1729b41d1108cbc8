"""Calls of hooks that wait: bounded, in order for each key, concurrent for different keys."""

import asyncio
import logging
from collections import deque
from collections.abc import Hashable
from functools import partial
from time import monotonic
from typing import Final

from socketio_app.adapters.error_place import type_and_place
from socketio_app.adapters.hooks.host_hook import HostHook
from socketio_app.adapters.hooks.threads import Threads
from socketio_app.adapters.log_event import log_event
from socketio_app.adapters.log_rate import WARNING_RATE
from socketio_app.application.cancellation import start_task
from socketio_app.application.hooks import Hooks
from socketio_app.application.metrics import Metrics
from socketio_app.domain.rates import RateLimiter

log = logging.getLogger("socketio_app.hooks")

CANCEL_SECONDS: Final = 1.0
"""Time that cancelled calls have to end at shutdown."""

Call = tuple[HostHook, object]
"""A hook, and its argument."""


class CallQueue:
    """Calls hooks in the background, without ever making a caller wait.

    Args:
        bounds: the bounds of the calls.
        metrics: where calls are counted, if anywhere.
    """

    def __init__(self, bounds: Hooks, metrics: Metrics | None) -> None:
        self._bounds = bounds
        self._metrics = metrics
        self._threads = Threads()
        self._by_key: dict[Hashable, deque[Call]] = {}
        """Waiting calls. A key whose call is running is here as well."""
        self._ready: deque[Hashable] = deque()
        """Keys with waiting calls, of which none is running."""
        self._running: dict[asyncio.Task[None], asyncio.Task[None]] = {}
        """For each task that makes calls, the call that it waits for."""
        self._waiting = 0
        self._dropped = 0
        self._is_open = True
        self._failures = RateLimiter(WARNING_RATE)

    @property
    def waiting(self) -> int:
        """Number of calls that have not begun."""
        return self._waiting

    def put(self, hook: HostHook, key: Hashable, argument: object) -> None:
        """Call a hook soon, after all earlier calls with the same key have ended."""
        if not self._is_open or self._waiting >= self._bounds.max_waiting:
            self.drop(hook)
            return
        calls = self._by_key.get(key)
        if calls is None:
            calls = self._by_key[key] = deque()
            self._ready.append(key)
        calls.append((hook, argument))
        self._waiting += 1
        self._start()

    def open(self) -> None:
        """Accept calls. Can be called after `close`."""
        self._is_open = True

    async def close(self) -> None:
        """Finish the waiting calls in the time that they have; drop the rest."""
        self._is_open = False
        deadline = monotonic() + self._bounds.shutdown_seconds
        while self._running and (left := deadline - monotonic()) > 0:
            await asyncio.wait(
                list(self._running), timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
        self._drop_waiting()
        for call in self._running.values():
            call.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=CANCEL_SECONDS)
        self._threads.close()
        self._threads = Threads()

    def _start(self) -> None:
        while self._ready and len(self._running) < self._bounds.max_concurrent:
            key = self._ready.popleft()
            hook, argument = self._by_key[key].popleft()
            self._waiting -= 1
            call = start_task(hook.call(argument, self._threads))
            task = start_task(self._watch(hook, call))
            self._running[task] = call
            task.add_done_callback(partial(self._end, key))
        if self._dropped and self._waiting <= self._bounds.max_waiting // 2:
            self._report_dropped()

    def _end(self, key: Hashable, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if self._by_key.get(key):
            self._ready.append(key)
        else:
            self._by_key.pop(key, None)
        self._start()

    async def _watch(self, hook: HostHook, call: "asyncio.Task[None]") -> None:
        """Wait for a call, and count its outcome."""
        await asyncio.wait([call], timeout=self._bounds.timeout_seconds)
        if not call.done():
            self._fail(hook, "timeout", "timed out")
            call.cancel()
            await asyncio.wait([call])
            if not call.cancelled():
                call.exception()  # retrieved, so that asyncio does not log it
            return
        error = asyncio.CancelledError() if call.cancelled() else call.exception()
        if error is None:
            self._count(hook, "ok")
        else:
            self._fail(hook, "error", type_and_place(error))

    def _fail(self, hook: HostHook, outcome: str, reason: str) -> None:
        self._count(hook, outcome)
        if not self._failures.admit(hook.name, monotonic()):
            log_event(log, logging.ERROR, "hook failed", {"hook": hook.name, "reason": reason})

    def drop(self, hook: HostHook) -> None:
        """Count and log a call that is not made."""
        self._count(hook, "dropped")
        if not self._dropped:
            reason = "too many calls are waiting" if self._is_open else "the chat is closed"
            fields = {"hook": hook.name, "reason": reason}
            log_event(log, logging.WARNING, "hook calls are dropped", fields)
        self._dropped += 1

    def _report_dropped(self) -> None:
        fields = {"calls": self._dropped}
        log_event(log, logging.WARNING, "hook calls are no longer dropped", fields)
        self._dropped = 0

    def _drop_waiting(self) -> None:
        if not self._waiting:
            return
        fields = {"calls": self._waiting}
        log_event(log, logging.WARNING, "hook calls were dropped at shutdown", fields)
        for calls in self._by_key.values():
            for hook, _ in calls:
                self._count(hook, "dropped")
        self._by_key.clear()
        self._ready.clear()
        self._waiting = 0

    def _count(self, hook: HostHook, outcome: str) -> None:
        if self._metrics is not None:
            self._metrics.hook_calls[hook.name][outcome] += 1
