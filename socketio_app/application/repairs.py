"""Work that makes good what the store could not say: done as soon as it can.

A repair reads from the store. While the store is unavailable, repairs wait; then a few run at a
time, so that a server that comes through an outage is not busy with them alone.
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
"""Maximum number of repairs that run at a time."""

RETRY_DELAY = timedelta(seconds=1)
"""How long repairs wait after the store was unavailable to one."""

Repair = Callable[[], Awaitable[None]]


class Repairs:
    """Runs repairs in tasks of its own, each until the store has answered.

    Whoever requests repairs bounds their number. Those of one key run one after the other.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[Hashable, Repair] = {}
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._pause: Timer | None = None
        self._closed = False

    def request(self, key: Hashable, repair: Repair) -> None:
        """Run a repair soon. It must be harmless where nothing is left to repair."""
        self._waiting.setdefault(key, repair)
        self._start()

    def open(self) -> None:
        """Run repairs: from the beginning, and again after `close`."""
        self._closed = False

    def close(self) -> None:
        """Start no repair any more, and drop those that wait."""
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
