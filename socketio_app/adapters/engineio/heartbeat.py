"""Heartbeat: pings all clients from a single timer.

Engine.IO protocol 4: the server sends a ping in each interval, and closes a connection that does
not answer within the time-out. One task per ping, as in python-engineio, would account for most of
the cost of an idle connection.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import attrs

from socketio_app.adapters.websocket.deadlines import LATE_SECONDS

if TYPE_CHECKING:
    from socketio_app.adapters.engineio.client_session import ClientSession

SLOTS = 25
"""Number of ticks per interval, over which the pings are spread."""


class Heartbeat:
    """A timer wheel that revolves once per interval and pings the connections in its slots.

    Time-outs are counted in ticks, so that they stop while the event loop is blocked. A late tick
    closes no connection: pongs that have arrived meanwhile are read first.
    """

    def __init__(self, interval_seconds: float, timeout_seconds: float) -> None:
        self.interval_seconds = interval_seconds
        self.timeout_seconds = timeout_seconds
        self._slots: list[set[ClientSession]] = [set() for _ in range(SLOTS)]
        self._slot_seconds = interval_seconds / SLOTS
        self._timeout_ticks = ceil(timeout_seconds / self._slot_seconds)
        self._ticks = 0
        self._due = 0.0
        self._was_late = False
        self._pinged: deque[_PingedSlot] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: "ClientSession") -> int:
        """Ping a connection once per interval, for the first time after one interval.

        Returns:
            The slot to remove it from.
        """
        slot = (self._ticks - 1) % SLOTS
        self._slots[slot].add(connection)
        if self._timer is None:
            self._wait()
        return slot

    def remove(self, connection: "ClientSession", slot: int) -> None:
        """Ping a connection no more."""
        self._slots[slot].discard(connection)

    def stop(self) -> None:
        """Stop all pings."""
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
        # The second of two late ticks does close: everything was read once in between.
        if self._was_late or not is_late:
            self._close_silent()
        self._was_late = is_late and not self._was_late
        # A pending confirmation ping counts as this interval's ping: its time-out starts now.
        connections = list(self._slots[self._ticks % SLOTS])
        for connection in connections:
            if connection.pinged_at is None:
                connection.pinged_at = now
                connection.ping()
        if connections:
            self._pinged.append(_PingedSlot(now, self._ticks + self._timeout_ticks, connections))

    def _close_silent(self) -> None:
        """Close the connections whose clients have not answered in time."""
        while self._pinged and self._pinged[0].last_tick <= self._ticks:
            slot = self._pinged.popleft()
            for connection in slot.connections:
                pinged_at = connection.pinged_at
                # It may have answered that ping, and been pinged again since.
                is_silent = pinged_at is not None and pinged_at <= slot.at
                if is_silent and not connection.closed:
                    connection.ping_timed_out()


@attrs.frozen
class _PingedSlot:
    """Connections pinged in the same tick."""

    at: float
    last_tick: int
    """Tick in which the connections that have not answered are closed."""
    connections: Sequence["ClientSession"]
