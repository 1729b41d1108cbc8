"""Memberships in memory."""

from collections.abc import Sequence
from datetime import datetime

from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.rooms import Joined, Left, Memberships


class MemoryRooms:
    """The domain's memberships behind the port."""

    def __init__(self, rooms_per_user: int) -> None:
        self._memberships = Memberships(rooms_per_user)

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> Joined:
        """See `RoomRepository.join`."""
        return self._memberships.join(room_id, user_id)

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        """See `RoomRepository.leave`."""
        return self._memberships.leave(room_id, user_id)

    async def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """See `RoomRepository.is_member`."""
        return self._memberships.is_member(room_id, user_id)

    async def member_count(self, room_id: RoomId) -> int:
        """See `RoomRepository.member_count`."""
        return self._memberships.member_count(room_id)

    async def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """See `RoomRepository.rooms_of`."""
        return self._memberships.rooms_of(user_id)
