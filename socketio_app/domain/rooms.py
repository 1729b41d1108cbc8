"""Room membership.

Users are members, not connections. A room exists while it has members: the first user to join
creates it, the last one to leave removes it.
"""

from collections.abc import Sequence
from typing import Literal

import attrs

from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import RoomId, UserId

LeaveReason = Literal["left"]
"""Why a membership ended: `left`, at the user's own request."""


@attrs.frozen
class Joined:
    """The outcome of joining a room."""

    joined: bool
    """False if the user was already a member."""
    member_count: int


@attrs.frozen
class Left:
    """The outcome of leaving a room."""

    left: bool
    """False if the user was not a member."""
    member_count: int


@attrs.frozen
class Membership:
    """A user's membership in a room, and the room's member count."""

    is_member: bool
    member_count: int


@attrs.define
class Memberships:
    """The members of every room."""

    rooms_per_user: int
    """Maximum number of rooms per user."""
    _members: dict[RoomId, set[UserId]] = attrs.field(factory=dict, init=False)
    _rooms: dict[UserId, dict[RoomId, None]] = attrs.field(factory=dict, init=False)

    def join(self, room_id: RoomId, user_id: UserId) -> Joined:
        """Make the user a member.

        Raises:
            InvalidPayload: the user is already in `rooms_per_user` rooms.
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
        """Return the user's membership in the room, and its member count."""
        return Membership(self.is_member(room_id, user_id), self.member_count(room_id))

    def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """Whether the user is in the room."""
        return user_id in self._members.get(room_id, ())

    def member_count(self, room_id: RoomId) -> int:
        """Return the number of members; 0 if the room does not exist."""
        return len(self._members.get(room_id, ()))

    def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """Return the user's rooms in the order of joining."""
        return tuple(self._rooms.get(user_id, ()))


def check_room_count(rooms: int, limit: int) -> None:
    """Check that a user who is in `rooms` rooms may join another one.

    Raises:
        InvalidPayload: the user is in the maximum number of rooms.
    """
    if rooms >= limit:
        raise InvalidPayload(
            f"you are in {rooms} rooms, the maximum for one user; leave one first",
            field="room_id",
        )
