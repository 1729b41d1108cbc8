"""Which of many moments come next, most of which are called off before. Nothing here waits."""

import heapq
from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

import attrs

Key = TypeVar("Key", bound=str)

_MOST_STALE = 64
"""So many that were called off are not worth tidying up."""


@attrs.define
class Deadlines(Generic[Key]):
    """A moment for each key.

    To set one costs the logarithm of how many there are, to call one off nothing but a place
    until its moment would have come; where those are more than the others, they are tidied up.
    """

    _at: dict[Key, datetime] = attrs.field(factory=dict, init=False)
    _heap: list[tuple[datetime, Key]] = attrs.field(factory=list, init=False)

    def set(self, key: Key, at: datetime) -> None:
        """Give a key its moment, in place of the one that it had."""
        self._at[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._at) + _MOST_STALE:
            self._heap = [(at, key) for key, at in self._at.items()]
            heapq.heapify(self._heap)

    def call_off(self, key: Key) -> None:
        """Forget a key's moment, if it has one."""
        self._at.pop(key, None)

    def next(self) -> datetime | None:
        """The earliest moment; `None` where there is none."""
        while self._heap and not self._counts(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: datetime) -> Sequence[Key]:
        """Whose moment has come, the earliest first. It is forgotten."""
        due: list[Key] = []
        while (earliest := self.next()) is not None and earliest <= now:
            _, key = heapq.heappop(self._heap)
            del self._at[key]
            due.append(key)
        return due

    def _counts(self, at: datetime, key: Key) -> bool:
        return self._at.get(key) == at
