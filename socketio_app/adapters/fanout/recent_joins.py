"""Joins of the last minute, each with the room's last `seq` at that time.

A message that was stored before a user joined may be broadcast after the join, if the store was
slow to confirm its append. The user's connections, including later ones, do not receive it.
"""

from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import Final

from socketio_app.domain.identifiers import RoomId, UserId

LATE_SECONDS: Final = 60
"""Maximum time from reading a message in the store to its broadcast, in seconds: longer than any
append takes."""


class RecentJoins:
    """The last `seq` before each join, kept while earlier messages may still be broadcast."""

    def __init__(self) -> None:
        self._joins: dict[UserId, dict[RoomId, tuple[int, float]]] = {}
        self._expiring: deque[tuple[float, UserId, RoomId]] = deque()

    def add(self, user_id: UserId, room_id: RoomId, last_seq: int) -> None:
        """Record that a user joined a room when `last_seq` was its newest message."""
        self._drop_expired()
        expires_at = monotonic() + LATE_SECONDS
        self._joins.setdefault(user_id, {})[room_id] = (last_seq, expires_at)
        self._expiring.append((expires_at, user_id, room_id))

    def of(self, user_id: UserId) -> Iterable[tuple[RoomId, int]]:
        """Return the user's recently joined rooms, each with the last `seq` before the join."""
        self._drop_expired()
        joins = self._joins.get(user_id, {})
        return [(room_id, last_seq) for room_id, (last_seq, _) in joins.items()]

    def _drop_expired(self) -> None:
        now = monotonic()
        while self._expiring and self._expiring[0][0] <= now:
            expired_at, user_id, room_id = self._expiring.popleft()
            rooms = self._joins.get(user_id, {})
            # A later join of the same room has another expiry.
            if room_id in rooms and rooms[room_id][1] == expired_at:
                del rooms[room_id]
                if not rooms:
                    del self._joins[user_id]
