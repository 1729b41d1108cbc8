"""One user's reads take turns, so that a store's readers are shared fairly among users."""

from collections.abc import Callable, Coroutine
from typing import Any

from socketio_app.application.commands import Actor
from socketio_app.application.locks import KeyedLock

UseCase = Callable[[Actor, Any], Coroutine[Any, Any, Any]]


class ReadTurns:
    """Lets each user have one read at a time, over all their connections.

    A store serves reads in the order in which they arrive. With one of each user among them, a
    user with a hundred connections waits behind their own reads, and others wait for one of them.
    """

    def __init__(self) -> None:
        self._locks = KeyedLock()

    def taken_by(self, read: UseCase) -> UseCase:
        """Return the same use case, which waits for the user's earlier reads."""

        async def read_in_turn(actor: Actor, command: Any) -> Any:
            if actor.connection_id is None:  # the host application is trusted
                return await read(actor, command)
            async with self._locks.holding(actor.user_id):
                return await read(actor, command)

        return read_in_turn
