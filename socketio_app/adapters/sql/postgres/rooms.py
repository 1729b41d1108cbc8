"""Room memberships in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

from socketio_app.adapters.sql.postgres.append import find_or_insert
from socketio_app.adapters.sql.postgres.conversations import mark_read
from socketio_app.adapters.sql.postgres.epoch import Epoch
from socketio_app.adapters.sql.postgres.pool import PostgresPool
from socketio_app.adapters.sql.times import milliseconds
from socketio_app.application.commands import RoomJoined
from socketio_app.application.locks import KeyedLock
from socketio_app.domain.conversations import Room
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.rooms import Left, Membership, check_room_count


class PostgresRooms:
    """Implements `RoomRepository`.

    Changes of a room are serialized in this process. They would wait for each other in the database
    anyway, and each would hold a connection of the pool meanwhile. They therefore also return in
    the order of their commits.
    """

    def __init__(self, pool: PostgresPool, epoch: Epoch, rooms_per_user: int) -> None:
        self._pool = pool
        self._epoch = epoch
        self._rooms_per_user = rooms_per_user
        self._room_locks = KeyedLock()

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> RoomJoined:
        """See `RoomRepository.join`."""
        room, user = room_id.encode(), user_id.encode()
        async with self._room_locks.holding(room_id), self._pool.transaction() as connection:
            ids = await find_or_insert(connection, [Room(room_id)])
            conversation_id = ids[Room(room_id)]
            # Serializes a user's joins and leaves, also on other processes: two concurrent joins
            # could exceed the limit.
            await connection.execute(_TAKE_TURNS, user)
            if await connection.fetchval(_IS_MEMBER, room, user):
                rows = await connection.fetch(_COUNT_AND_LAST, conversation_id)
                ((member_count, last_seq),) = rows
                return RoomJoined(room_id, last_seq, member_count, joined=False)
            rooms = await connection.fetchval(_COUNT_ROOMS, user)
            check_room_count(rooms, self._rooms_per_user)
            # Locks the conversation, as an append does: until the commit, there is no new message,
            # and no other join or leave changes the count.
            ((member_count, last_seq),) = await connection.fetch(
                _INCREMENT_MEMBER_COUNT, conversation_id
            )
            await connection.execute(_JOIN, room, user, milliseconds(at), conversation_id)
            await mark_read(connection, user_id, conversation_id, last_seq)
        return RoomJoined(room_id, last_seq, member_count, joined=True)

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        """See `RoomRepository.leave`."""
        room, user = room_id.encode(), user_id.encode()
        async with self._room_locks.holding(room_id), self._pool.transaction() as connection:
            await connection.execute(_TAKE_TURNS, user)
            # Lock the conversation first, as an append does, to prevent deadlocks.
            member_count = await connection.fetchval(_LOCK_AND_COUNT, room) or 0
            left = await connection.fetchval(_LEAVE, room, user) is not None
            if left:
                member_count = await connection.fetchval(_DECREMENT_MEMBER_COUNT, room)
        return Left(left, member_count)

    async def membership(self, room_id: RoomId, user_id: UserId) -> Membership:
        """See `RoomRepository.membership`."""
        room, user = room_id.encode(), user_id.encode()
        async with self._room_locks.holding(room_id), self._pool.connection() as connection:
            ((is_member, count),) = await connection.fetch(_MEMBERSHIP, room, user)
        return Membership(is_member, count)

    async def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """See `RoomRepository.is_member`."""
        async with self._pool.connection() as connection:
            found: bool = await connection.fetchval(_IS_MEMBER, room_id.encode(), user_id.encode())
        return found

    async def member_count(self, room_id: RoomId) -> int:
        """See `RoomRepository.member_count`."""
        async with self._pool.connection() as connection:
            count: int | None = await connection.fetchval(_COUNT, room_id.encode())
        return count or 0

    async def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """See `RoomRepository.rooms_of`.

        An opening connection calls this first, and gets the epoch of that moment.
        """
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_EPOCH_AND_ROOMS, user_id.encode())
        self._epoch.update(rows[0][0])
        return [RoomId(room_id.decode()) for _, room_id in rows if room_id is not None]


_TAKE_TURNS = (
    "SELECT pg_advisory_xact_lock(hashtextextended('chat_member', hashtext(encode($1, 'hex'))))"
)
_IS_MEMBER = "SELECT EXISTS (SELECT FROM chat_member WHERE room_id = $1 AND user_id = $2)"
_MEMBERSHIP = f"""
    {_IS_MEMBER},
        coalesce((SELECT member_count FROM chat_conversation WHERE room_id = $1), 0)
"""  # noqa: S608  (a constant)
_COUNT_AND_LAST = """
    SELECT member_count, last_seq FROM chat_conversation WHERE conversation_id = $1
"""
_INCREMENT_MEMBER_COUNT = """
    UPDATE chat_conversation SET member_count = member_count + 1 WHERE conversation_id = $1
    RETURNING member_count, last_seq
"""
_DECREMENT_MEMBER_COUNT = """
    UPDATE chat_conversation SET member_count = member_count - 1 WHERE room_id = $1
    RETURNING member_count
"""
# The activity of a new room is that of the first join.
_JOIN = """
    WITH joined AS (
        INSERT INTO chat_member (room_id, user_id, joined_at, activity)
        VALUES ($1, $2, $3, nextval('chat_activity'))
        RETURNING activity
    )
    UPDATE chat_conversation SET activity = joined.activity FROM joined
    WHERE conversation_id = $4 AND chat_conversation.activity = 0
"""
_LEAVE = "DELETE FROM chat_member WHERE room_id = $1 AND user_id = $2 RETURNING membership_id"
_COUNT_ROOMS = "SELECT count(*) FROM chat_member WHERE user_id = $1"
_LOCK_AND_COUNT = """
    SELECT member_count FROM chat_conversation WHERE room_id = $1 FOR NO KEY UPDATE
"""
_COUNT = "SELECT member_count FROM chat_conversation WHERE room_id = $1"
_EPOCH_AND_ROOMS = """
    SELECT epoch, room_id FROM chat_store LEFT JOIN chat_member ON user_id = $1
    WHERE chat_store.id = 1 ORDER BY membership_id
"""
