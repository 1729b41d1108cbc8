"""Draining: closes all connections at shutdown, so that clients reconnect elsewhere.

Connections are closed a few at a time, to spread the load of reconnecting clients on the remaining
servers.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from socketio_app.application.cancellation import start_task

if TYPE_CHECKING:
    from socketio_app.adapters.engineio.client_session import ClientSession

log = logging.getLogger("socketio_app.socketio")

MIN_CONNECTIONS_PER_SECOND = 200
"""Minimum rate of closing connections, so that draining a few of them is fast."""

BATCH_CONNECTIONS = 100
"""Maximum number of connections closed before yielding to the event loop."""

FINISH_TIMEOUT_SECONDS = 5.0
"""Time-out for handling what a client has sent before its connection is closed."""

_MIN_SLEEP_SECONDS = 0.01
"""Minimum sleep; shorter waits are skipped."""


async def drain_all(connections: Sequence["ClientSession"], seconds: float) -> None:
    """Close connections, spread over some seconds; they are served until then.

    Args:
        connections: the connections to close.
        seconds: maximum time to spread them over, excluding the time to handle received data.
    """
    clock = asyncio.get_running_loop().time
    begin, interval = clock(), drain_interval(len(connections), seconds)
    draining: set[asyncio.Task[None]] = set()
    for number, connection in enumerate(connections):
        wait = begin + number * interval - clock()
        if wait > _MIN_SLEEP_SECONDS:
            await asyncio.sleep(wait)
        elif number % BATCH_CONNECTIONS == 0:
            await asyncio.sleep(0)
        task = start_task(_drain(connection))
        draining.add(task)
        task.add_done_callback(draining.discard)
    if draining:
        await asyncio.wait(draining)


def drain_interval(count: int, seconds: float) -> float:
    """Return the time between closing two connections, in seconds."""
    return min(seconds / count, 1 / MIN_CONNECTIONS_PER_SECOND) if count else 0.0


async def _drain(connection: "ClientSession") -> None:
    try:
        await connection.drain()
    except Exception:
        log.exception("internal error while draining a connection")
