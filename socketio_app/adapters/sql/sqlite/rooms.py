"""Room memberships in a SQLite file."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from socketio_app.adapters.sql.sqlite.writer import Commits
from socketio_app.application.commands import RoomJoined
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.rooms import Left, Membership, Memberships, check_room_count


class SqliteRooms:
    """Implements `RoomRepository`.

    Queries are answered from memory. Changes are written to the file before they are in memory.
    """

    def __init__(self, commits: Commits, rooms_per_user: int) -> None:
        self._commits = commits
        self._rooms_per_user = rooms_per_user
        self._memberships = Memberships(_NO_LIMIT)

    def load(self, memberships: Iterable[tuple[RoomId, UserId]]) -> None:
        """Load the memberships in the file into memory, replacing those from before."""
        self._memberships = Memberships(_NO_LIMIT)
        for room_id, user_id in memberships:
            self._memberships.join(room_id, user_id)

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> RoomJoined:
        """See `RoomRepository.join`."""
        if not self._memberships.is_member(room_id, user_id):
            check_room_count(len(self._memberships.rooms_of(user_id)), self._rooms_per_user)
        last_seq = await self._commits.submit(lambda writer: writer.join(room_id, user_id, at))
        room = self._memberships.join(room_id, user_id)
        return RoomJoined(room_id, last_seq, room.member_count, room.joined)

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        """See `RoomRepository.leave`."""
        if self._memberships.is_member(room_id, user_id):
            row = (room_id.encode(), user_id.encode())
            await self._commits.submit(lambda writer: writer.leave(row))
        return self._memberships.leave(room_id, user_id)

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


_NO_LIMIT = 2**63
"""The limit is checked before each write: it may be lower than when the file was written."""
