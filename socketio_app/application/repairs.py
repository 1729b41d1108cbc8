"""Repairs: work that resolves unknown outcomes once the store can be read again.

While the store is unavailable, repairs wait. Afterwards only a few run concurrently, so that a
server recovering from an outage remains responsive.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from functools import partial

from socketio_app.application.cancellation import start_task
from socketio_app.application.ports import Clock, Timer
from socketio_app.domain.errors import Unavailable

log = logging.getLogger("socketio_app")

MAX_RUNNING = 4
"""Maximum number of concurrent repairs."""

RETRY_DELAY = timedelta(seconds=1)
"""Delay before the next repair after one found the store unavailable."""

Repair = Callable[[], Awaitable[None]]


class Repairs:
    """Runs repairs in background tasks, and retries each until the store is available.

    Callers must bound the number of requests. Repairs with the same key run one after the other.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[Hashable, Repair] = {}
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._pause: Timer | None = None
        self._closed = False

    def request(self, key: Hashable, repair: Repair) -> None:
        """Schedule a repair. It must be harmless if there is nothing left to repair."""
        self._waiting.setdefault(key, repair)
        self._start()

    def open(self) -> None:
        """Start running repairs. Can be called after `close`."""
        self._closed = False

    def close(self) -> None:
        """Drop waiting repairs, and start no more. Running ones are completed."""
        self._closed = True
        self._waiting.clear()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _start(self) -> None:
        if self._closed:
            self._waiting.clear()
        while self._pause is None and len(self._running) < MAX_RUNNING:
            key = next((key for key in self._waiting if key not in self._running), None)
            if key is None:
                return
            task = start_task(self._run(key, self._waiting.pop(key)))
            self._running[key] = task
            task.add_done_callback(partial(self._end, key))

    async def _run(self, key: Hashable, repair: Repair) -> None:
        try:
            await repair()
        except Unavailable:
            self._waiting.setdefault(key, repair)
            if self._pause is None and not self._closed:
                self._pause = self._clock.call_later(RETRY_DELAY, self._resume)
        except Exception:
            log.exception("repair failed")

    def _resume(self) -> None:
        self._pause = None
        self._start()

    def _end(self, key: Hashable, _task: asyncio.Task[None]) -> None:
        del self._running[key]
        self._start()
