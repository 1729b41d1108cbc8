"""Deadlines by key, most of which are cancelled before they are due."""

import heapq
from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

import attrs

Key = TypeVar("Key", bound=str)

_MAX_STALE = 64
"""Stale heap entries tolerated beyond the number of live ones."""


@attrs.define
class Deadlines(Generic[Key]):
    """A priority queue with at most one deadline for each key.

    Setting a deadline takes logarithmic time. Cancelling one takes constant time, but its heap
    entry remains until it would have been due, or until stale entries outnumber live ones and the
    heap is rebuilt.
    """

    _at: dict[Key, datetime] = attrs.field(factory=dict, init=False)
    _heap: list[tuple[datetime, Key]] = attrs.field(factory=list, init=False)

    def set(self, key: Key, at: datetime) -> None:
        """Set a key's deadline, replacing any earlier one."""
        self._at[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._at) + _MAX_STALE:
            self._heap = [(at, key) for key, at in self._at.items()]
            heapq.heapify(self._heap)

    def cancel(self, key: Key) -> None:
        """Cancel a key's deadline, if it has one."""
        self._at.pop(key, None)

    def next(self) -> datetime | None:
        """Return the earliest deadline, or `None` if there is none."""
        while self._heap and not self._is_current(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: datetime) -> Sequence[Key]:
        """Remove and return the keys whose deadline has passed, earliest first."""
        due: list[Key] = []
        while (earliest := self.next()) is not None and earliest <= now:
            _, key = heapq.heappop(self._heap)
            del self._at[key]
            due.append(key)
        return due

    def _is_current(self, at: datetime, key: Key) -> bool:
        return self._at.get(key) == at
