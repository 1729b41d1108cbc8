"""Joins of the last minute, and the messages from before them.

A message that was stored before a user joined may still be broadcast after it, when the answer to
its append was slow. The user's connections do not get it, those that open later included.
"""

from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import Final

from socketio_app.domain.identifiers import RoomId, UserId

LATE_SECONDS: Final = 60
"""How late a message may be broadcast after it was read from the store: longer than any append
takes."""


class RecentJoins:
    """The last `seq` before each join, for as long as earlier messages may still be broadcast."""

    def __init__(self) -> None:
        self._joins: dict[UserId, dict[RoomId, tuple[int, float]]] = {}
        self._expiring: deque[tuple[float, UserId, RoomId]] = deque()

    def add(self, user_id: UserId, room_id: RoomId, last_seq: int) -> None:
        """Remember that a user joined a room after a message."""
        self._drop_expired()
        expires_at = monotonic() + LATE_SECONDS
        self._joins.setdefault(user_id, {})[room_id] = (last_seq, expires_at)
        self._expiring.append((expires_at, user_id, room_id))

    def of(self, user_id: UserId) -> Iterable[tuple[RoomId, int]]:
        """Return the rooms that a user joined recently, and the last `seq` before each join."""
        self._drop_expired()
        joins = self._joins.get(user_id, {})
        return [(room_id, last_seq) for room_id, (last_seq, _) in joins.items()]

    def _drop_expired(self) -> None:
        now = monotonic()
        while self._expiring and self._expiring[0][0] <= now:
            expired_at, user_id, room_id = self._expiring.popleft()
            rooms = self._joins.get(user_id, {})
            if (
                room_id in rooms and rooms[room_id][1] == expired_at
            ):  # the user has not joined again since
                del rooms[room_id]
                if not rooms:
                    del self._joins[user_id]
