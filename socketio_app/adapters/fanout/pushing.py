"""Sends a connection what its user has missed, as fast as its client takes it."""

import asyncio
import logging
from typing import Protocol

from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.application.backlog import Backlog
from socketio_app.application.sessions import Sessions
from socketio_app.domain.errors import Unavailable

log = logging.getLogger("socketio_app.socketio")

RETRY_SECONDS = 1.0
"""How long the push of missed messages waits after the store was unavailable."""


class Client(Protocol):
    """A connection, as far as it says how fast its client is."""

    async def until_taken(self) -> None:
        """Wait until the client has taken what was written to it, or has gone."""
        ...


async def push(
    client: Client, subscriber: Subscriber, sessions: Sessions, backlog: Backlog
) -> None:
    """Send the rest of a backlog, a batch whenever the client has taken the one before."""
    try:
        while not backlog.is_empty:
            await client.until_taken()
            try:
                await sessions.read_next_batch(backlog)
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            subscriber.push(backlog.take())
            await asyncio.sleep(0)  # what was written together leaves together
    except Exception as error:  # noqa: BLE001  (logged there)
        subscriber.fail(error)
