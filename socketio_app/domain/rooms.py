"""Who is a member of which room.

Membership is a user's, not a connection's. A room is there for as long as somebody is in it: the
first to join makes it, the last to leave ends it.
"""

from collections.abc import Sequence
from typing import Literal

import attrs

from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import RoomId, UserId

LeaveReason = Literal["left"]
"""Why a user is no longer a member: `left`, by their own command."""


@attrs.frozen
class Joined:
    """A room after somebody asked to join it."""

    joined: bool
    """False when the user was a member already: nothing changed."""
    member_count: int


@attrs.frozen
class Left:
    """A room after somebody asked to leave it."""

    left: bool
    """False when the user was no member: nothing changed."""
    member_count: int


@attrs.frozen
class Membership:
    """Whether a user is in a room, and how many are."""

    is_member: bool
    member_count: int


@attrs.define
class Memberships:
    """The members of every room."""

    rooms_per_user: int
    """How many rooms one user may be in at a time."""
    _members: dict[RoomId, set[UserId]] = attrs.field(factory=dict, init=False)
    _rooms: dict[UserId, dict[RoomId, None]] = attrs.field(factory=dict, init=False)

    def join(self, room_id: RoomId, user_id: UserId) -> Joined:
        """Make the user a member.

        Raises:
            InvalidPayload: the user is in `rooms_per_user` others.
        """
        members = self._members.get(room_id, set())
        if user_id in members:
            return Joined(joined=False, member_count=len(members))
        rooms = self._rooms.get(user_id, {})
        check_room_count(len(rooms), self.rooms_per_user)
        members.add(user_id)
        rooms[room_id] = None
        self._members[room_id] = members
        self._rooms[user_id] = rooms
        return Joined(joined=True, member_count=len(members))

    def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        """End the user's membership."""
        members = self._members.get(room_id, set())
        if user_id not in members:
            return Left(left=False, member_count=len(members))
        members.remove(user_id)
        rooms = self._rooms[user_id]
        del rooms[room_id]
        if not members:
            del self._members[room_id]
        if not rooms:
            del self._rooms[user_id]
        return Left(left=True, member_count=len(members))

    def membership(self, room_id: RoomId, user_id: UserId) -> Membership:
        """Whether the user is in the room, and how many are."""
        return Membership(self.is_member(room_id, user_id), self.member_count(room_id))

    def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """Whether the user is in the room."""
        return user_id in self._members.get(room_id, ())

    def member_count(self, room_id: RoomId) -> int:
        """How many are in the room; 0 where there is no such room."""
        return len(self._members.get(room_id, ()))

    def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """The rooms that the user is in, in the order of joining."""
        return tuple(self._rooms.get(user_id, ()))


def check_room_count(rooms: int, limit: int) -> None:
    """Refuse one room more to a user who is in `rooms` already.

    Raises:
        InvalidPayload: that is the most that one user may be in.
    """
    if rooms >= limit:
        raise InvalidPayload(
            f"you are in {rooms} rooms, the most that one user may be in; leave one first",
            field="room_id",
        )
