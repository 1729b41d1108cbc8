"""Serializing each user's reads, to share the store's readers fairly among users."""

from typing import Any

from socketio_app.application.commands import Actor
from socketio_app.application.locks import KeyedLock
from socketio_app.application.use_cases import UseCase


class ReadTurns:
    """Allows each user one read at a time, over all their connections.

    A store serves reads in order of arrival. With at most one read per user in its queue, a user
    with a hundred connections waits for their own reads, and other users for one of them.
    """

    def __init__(self) -> None:
        self._locks = KeyedLock()

    def serialize(self, read: UseCase) -> UseCase:
        """Wrap a use case so that it waits for the user's earlier reads."""

        async def read_in_turn(actor: Actor, command: Any) -> Any:
            if actor.connection_id is None:  # the host application is trusted
                return await read(actor, command)
            async with self._locks.holding(actor.user_id):
                return await read(actor, command)

        return read_in_turn
