"""Room memberships, in memory."""

from collections.abc import Sequence
from datetime import datetime

from socketio_app.adapters.memory.conversations import MemoryConversations
from socketio_app.adapters.memory.messages import MemoryMessages
from socketio_app.application.commands import RoomJoined
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.rooms import Left, Membership, Memberships


class MemoryRooms:
    """Implements `RoomRepository` with the domain's `Memberships`.

    Args:
        memberships: members of the rooms.
        messages: messages of the rooms.
        conversations: read positions of the members.
    """

    def __init__(
        self,
        memberships: Memberships,
        messages: MemoryMessages,
        conversations: MemoryConversations,
    ) -> None:
        self._memberships = memberships
        self._messages = messages
        self._conversations = conversations
        self._joined: dict[tuple[UserId, RoomId], int] = {}

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> RoomJoined:
        """See `RoomRepository.join`."""
        room = self._memberships.join(room_id, user_id)
        try:
            last_seq = self._messages.enter(room_id)
        except Unavailable:
            self._memberships.leave(room_id, user_id)
            raise
        if room.joined:
            self._joined[user_id, room_id] = self._messages.draw_activity()
            self._conversations.read(user_id, Room(room_id), last_seq)
        return RoomJoined(room_id, last_seq, room.member_count, room.joined)

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        """See `RoomRepository.leave`."""
        self._joined.pop((user_id, room_id), None)
        return self._memberships.leave(room_id, user_id)

    def joined_at_activity(self, room_id: RoomId, user_id: UserId) -> int:
        """Return the activity at which a member joined."""
        return self._joined[user_id, room_id]

    async def membership(self, room_id: RoomId, user_id: UserId) -> Membership:
        """See `RoomRepository.membership`."""
        return self._memberships.membership(room_id, user_id)

    async def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """See `RoomRepository.is_member`."""
        return self._memberships.is_member(room_id, user_id)

    async def member_count(self, room_id: RoomId) -> int:
        """See `RoomRepository.member_count`."""
        return self._memberships.member_count(room_id)

    async def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """See `RoomRepository.rooms_of`."""
        return self._memberships.rooms_of(user_id)
