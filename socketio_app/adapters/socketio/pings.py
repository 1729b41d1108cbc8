"""Asks every client whether it is still there, by one timer for all of them.

Engine.IO protocol 4: the server sends a ping in each interval, and ends a connection that does not
answer within the timeout. A task for each ping, as python-engineio has it, is most of what an idle
connection costs.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

MOST_SLOTS = 25
"""The clients are spread over so many moments of an interval."""


class Pinged(Protocol):
    """A connection, as far as pings go."""

    closed: bool
    pinged_at: float | None
    """When it was asked what it has not answered yet."""

    def ping(self) -> None:
        """Ask the client, without waiting."""
        ...

    def ping_timed_out(self) -> None:
        """End the connection: the client did not answer."""
        ...


class PingWheel:
    """Turns once in each interval; connections sit in its slots."""

    def __init__(self, interval_seconds: float, timeout_seconds: float) -> None:
        self._slots: list[set[Pinged]] = [set() for _ in range(MOST_SLOTS)]
        self._slot_seconds = interval_seconds / MOST_SLOTS
        self._timeout_seconds = timeout_seconds
        self._now = 0
        self._asked: deque[tuple[float, list[Pinged]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Pinged) -> Callable[[], None]:
        """Ask a connection's client from now on, for the first time after one interval.

        Returns:
            What to call to ask it no more.
        """
        slot = self._slots[self._now - 1]
        slot.add(connection)
        if self._timer is None:
            self._wait()
        return partial(slot.discard, connection)

    def stop(self) -> None:
        """Ask nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._slot_seconds, self._turn)

    def _turn(self) -> None:
        self._wait()
        now = asyncio.get_running_loop().time()
        while self._asked and self._asked[0][0] <= now:
            deadline, connections = self._asked.popleft()
            for connection in connections:
                pinged_at = connection.pinged_at
                # It may have answered that ping, and been asked again since.
                is_late = pinged_at is not None and pinged_at + self._timeout_seconds <= deadline
                if is_late and not connection.closed:
                    connection.ping_timed_out()
        self._now = (self._now + 1) % MOST_SLOTS
        asked = [each for each in self._slots[self._now] if each.pinged_at is None]
        for connection in asked:
            connection.pinged_at = now
            connection.ping()
        if asked:
            self._asked.append((now + self._timeout_seconds, asked))
