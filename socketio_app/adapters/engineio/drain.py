"""Lets every client go when the server ends, in a way that makes them connect again.

They go a few at a time: those who come back all at once would be a load on whoever is still there.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from socketio_app.application.cancellation import start_task

log = logging.getLogger("socketio_app.socketio")

MIN_PER_SECOND = 200
"""So many at least go in a second: a few are no load, and need not be waited for."""

AT_ONCE = 100
"""So many go before the loop has its turn."""

FINISH_SECONDS = 5.0
"""How long what a client has sent may take to be done; then it goes all the same."""

_SHORT_SECONDS = 0.01
"""Less is not worth waiting for."""


class Drainable(Protocol):
    """A connection, as far as its retirement goes."""

    async def drain(self) -> None:
        """Finish what its client has sent, and end."""
        ...


async def drain_all(connections: Sequence[Drainable], seconds: float) -> None:
    """End connections, spread over some seconds; the others are served meanwhile.

    Args:
        connections: which.
        seconds: how long it may take, beside what is still to be finished.
    """
    clock = asyncio.get_running_loop().time
    begin, apart = clock(), seconds_apart(len(connections), seconds)
    draining: set[asyncio.Task[None]] = set()
    for number, connection in enumerate(connections):
        wait = begin + number * apart - clock()
        if wait > _SHORT_SECONDS:
            await asyncio.sleep(wait)
        elif number % AT_ONCE == 0:
            await asyncio.sleep(0)
        task = start_task(_drain(connection))
        draining.add(task)
        task.add_done_callback(draining.discard)
    if draining:
        await asyncio.wait(draining)


def seconds_apart(count: int, seconds: float) -> float:
    """The time between one connection's end and the next one's."""
    return min(seconds / count, 1 / MIN_PER_SECOND) if count else 0.0


async def _drain(connection: Drainable) -> None:
    try:
        await connection.drain()
    except Exception:
        log.exception("fault while a connection was closed for the end of the server")
