"""A handler of numbers, for the tests of the inbox."""

import asyncio
from collections.abc import Callable

from socketio_app.adapters.websocket.inbox import Inbox

OVERTAKING = 1000


class Handler:
    """Handles numbers; odd ones wait for `proceed`."""

    def __init__(self, *, at_once: bool) -> None:
        self.handled: list[int | str] = []
        self.proceed = asyncio.Semaphore(0)
        self.is_paused = False
        self.inbox = Inbox(self, self, begins_outside_tasks=at_once, size=lambda number: number)

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
