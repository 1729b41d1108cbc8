"""Limits how much input of new connections is handled per turn of the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

MAX_PER_TURN: Final = 2
"""Maximum pieces of input from new connections that are handled in one turn of the loop."""


class SharedTurn:
    """The share of all new connections together in each turn of the loop.

    Opening a connection is the most expensive request that a client without a token can make. If a
    thousand arrive at once, the clients that are connected wait for a few of them, not for all.
    """

    def __init__(self) -> None:
        self._left = MAX_PER_TURN
        self._waiting: deque[Callable[[], None]] = deque()

    def take(self) -> bool:
        """Return whether a piece of input may be handled now; if so, count it."""
        if not self._left:
            return False
        self._spend()
        return True

    def wait(self, handle: Callable[[], None]) -> None:
        """Call back in a later turn, after those who have waited longer."""
        self._waiting.append(handle)
        if self._left == MAX_PER_TURN:
            self._schedule()
            self._left = 0

    def _spend(self) -> None:
        if self._left == MAX_PER_TURN:
            self._schedule()
        self._left -= 1

    def _schedule(self) -> None:
        asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        """Begin a turn."""
        self._left = MAX_PER_TURN
        while self._waiting and self._left:
            self._spend()
            self._waiting.popleft()()


_shared_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, SharedTurn] = WeakKeyDictionary()


def shared_turn(loop: asyncio.AbstractEventLoop) -> SharedTurn:
    """Return the shared turn of an event loop."""
    turn = _shared_turns.get(loop)
    if turn is None:
        turn = _shared_turns[loop] = SharedTurn()
    return turn
