"""Pushes missed messages to a connection, as fast as its client reads them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.application.backlog import Backlog
from socketio_app.application.sessions import Sessions
from socketio_app.domain.errors import Unavailable

log = logging.getLogger("socketio_app.socketio")

RETRY_SECONDS = 1.0
"""Delay before the store is read again after it was unavailable."""


async def push(
    wait_until_received: Callable[[], Awaitable[None]],
    subscriber: Subscriber,
    sessions: Sessions,
    backlog: Backlog,
) -> None:
    """Push the rest of a backlog, each batch once the client has read the previous one.

    Args:
        wait_until_received: waits until the client has read what was written to it, or is gone.
        subscriber: the client's connection.
        sessions: reads the batches.
        backlog: the rest of the backlog.
    """
    try:
        while not backlog.is_empty:
            await wait_until_received()
            try:
                await sessions.read_next_batch(backlog)
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            subscriber.push(backlog.take())
            await asyncio.sleep(0)  # frames written together are flushed together
    except Exception as error:  # noqa: BLE001  (`fail` logs it)
        subscriber.fail(error)
