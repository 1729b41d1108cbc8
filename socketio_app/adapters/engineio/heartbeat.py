"""Asks every client whether it is still there, by one timer for all of them.

Engine.IO protocol 4: the server sends a ping in each interval, and ends a connection that does not
answer within the timeout. A task for each ping, as python-engineio has it, is most of what an idle
connection costs.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from typing import Protocol

import attrs

from socketio_app.adapters.websocket.deadlines import LATE_SECONDS

MAX_SLOTS = 25
"""The clients are spread over so many moments of an interval."""


class Pinged(Protocol):
    """A connection, as far as pings go."""

    pinged_at: float | None
    """When it was asked what it has not answered yet."""

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        ...

    def ping(self) -> None:
        """Ask the client, without waiting."""
        ...

    def ping_timed_out(self) -> None:
        """End the connection: the client did not answer."""
        ...


class Heartbeat:
    """Turns once in each interval; connections sit in its slots.

    Time is counted in turns, so that it stands still while the event loop is blocked. A turn that
    is late ends no connection: the pongs that arrived meanwhile are read first.
    """

    def __init__(self, interval_seconds: float, timeout_seconds: float) -> None:
        self.interval_seconds = interval_seconds
        self.timeout_seconds = timeout_seconds
        self._slots: list[set[Pinged]] = [set() for _ in range(MAX_SLOTS)]
        self._slot_seconds = interval_seconds / MAX_SLOTS
        self._timeout_turns = ceil(timeout_seconds / self._slot_seconds)
        self._ticks = 0
        self._due = 0.0
        self._was_late = False
        self._asked: deque[_Asked] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Pinged) -> Callable[[], None]:
        """Ask a connection's client from now on, for the first time after one interval.

        Returns:
            What to call to ask it no more.
        """
        slot = self._slots[(self._ticks - 1) % MAX_SLOTS]
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
        loop = asyncio.get_running_loop()
        self._due = loop.time() + self._slot_seconds
        self._timer = loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        is_late = now - self._due > LATE_SECONDS
        self._wait()
        self._ticks += 1
        # Of two late turns in a row the second one does: between them everything was read once.
        if self._was_late or not is_late:
            self._end_silent()
        self._was_late = is_late and not self._was_late
        # A connection that was pinged for a confirmation has as long to answer from now on.
        connections = list(self._slots[self._ticks % MAX_SLOTS])
        for connection in connections:
            if connection.pinged_at is None:
                connection.pinged_at = now
                connection.ping()
        if connections:
            self._asked.append(_Asked(now, self._ticks + self._timeout_turns, connections))

    def _end_silent(self) -> None:
        """End the connections whose clients have not answered in time."""
        while self._asked and self._asked[0].last_tick <= self._ticks:
            asked = self._asked.popleft()
            for connection in asked.connections:
                pinged_at = connection.pinged_at
                # It may have answered that ping, and been asked again since.
                is_silent = pinged_at is not None and pinged_at <= asked.at
                if is_silent and not connection.closed:
                    connection.ping_timed_out()


@attrs.frozen
class _Asked:
    """The connections that were pinged in one turn."""

    at: float
    last_tick: int
    """The turn in which those that have not answered are ended."""
    connections: Sequence[Pinged]
