"""The store in PostgreSQL, which several processes may use at once."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.migrations import HEAD, VERSION_TABLE, SchemaError
from socketio_app.adapters.sql.postgres_append import ConversationIds, append
from socketio_app.adapters.sql.postgres_deliveries import PostgresDeliveries
from socketio_app.adapters.sql.postgres_pool import PostgresPool, fetch
from socketio_app.adapters.sql.rows import key_of, milliseconds
from socketio_app.adapters.sql.schema import members
from socketio_app.adapters.sql.statements import conversation_at, rooms_of
from socketio_app.application.commands import RoomJoined
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.messaging import Draft, Stored
from socketio_app.domain.rooms import Left, check_room_count

MOST_WAITING = 20_000
"""Writes that may wait for the database; beyond, sends are refused as `unavailable`."""

LARGEST_BATCH = 1_000


class PostgresStore:
    """Keeps everything in a PostgreSQL database. Implements the `Store` port."""

    def __init__(self, url: str, rooms_per_user: int) -> None:
        self._pool = PostgresPool(url)
        self.epoch = ""
        ids = ConversationIds()
        self.messages = PostgresMessages(self._pool, ids)
        self.deliveries = PostgresDeliveries(self._pool, ids)
        self.rooms = PostgresRooms(self._pool, ids, rooms_per_user)

    async def start(self) -> None:
        """Connect, and see that the schema is ours. Doing it again changes nothing.

        Raises:
            Unavailable: the database does not let us in.
            SchemaError: its schema is not the one that this version works with.
        """
        if self.epoch:
            return
        await self._pool.open()
        async with self._pool.transaction() as connection:
            if await connection.fetchval(f"SELECT to_regclass('{VERSION_TABLE}')") is None:
                raise SchemaError("the database has no chat tables: run socketio-app migrate")
            version = await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  (a constant)
            if version != HEAD:
                raise SchemaError(
                    f"the database has schema {version}, {HEAD} is needed: run socketio-app migrate"
                )
            self.epoch = await connection.fetchval("SELECT epoch FROM chat_store")

    async def close(self) -> None:
        """Commit what waits, and disconnect."""
        await self.messages.drain()
        await self.deliveries.drain()
        await self._pool.close()


class PostgresMessages:
    """Implements `MessageLog`. Messages that wait at the same time share one transaction."""

    def __init__(self, pool: PostgresPool, ids: ConversationIds) -> None:
        self._pool = pool
        self._ids = ids
        self._commits: GroupCommit[Draft, Stored] = GroupCommit(
            self._commit, most_waiting=MOST_WAITING, largest_batch=LARGEST_BATCH
        )

    async def append(self, draft: Draft) -> Stored:
        """See `MessageLog.append`."""
        return await self._commits.submit(draft)

    async def last_seq(self, conversation: Conversation) -> int:
        """See `MessageLog.last_seq`."""
        async with self._pool.transaction() as connection:
            rows = await fetch(connection, conversation_at(key_of(conversation)))
        return rows[0][1] if rows else 0

    async def drain(self) -> None:
        """Wait until nothing waits."""
        await self._commits.drain()

    async def _commit(self, drafts: Sequence[Draft]) -> Sequence[Stored | Exception]:
        try:
            return await self._commit_together(drafts)
        except asyncpg.PostgresError as error:
            if len(drafts) == 1:
                return [error]
        # One of them spoils the transaction for all: each by itself, so that it fails alone.
        return [outcome for draft in drafts for outcome in await self._commit([draft])]

    async def _commit_together(self, drafts: Sequence[Draft]) -> list[Stored]:
        async with self._pool.transaction() as connection:
            ids = await self._ids.find(connection, [draft.conversation for draft in drafts])
            stored = await append(connection, drafts, ids)
        self._ids.remember(ids)
        return stored


class PostgresRooms:
    """Implements `RoomRepository`."""

    def __init__(self, pool: PostgresPool, ids: ConversationIds, rooms_per_user: int) -> None:
        self._pool = pool
        self._ids = ids
        self._rooms_per_user = rooms_per_user

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> RoomJoined:
        """See `RoomRepository.join`."""
        room, user = room_id.encode(), user_id.encode()
        async with self._pool.transaction() as connection:
            # One user's joins take turns, here and on other processes, or two of them together
            # could go over the limit.
            await connection.execute(_TAKE_TURNS, user)
            joined = not await connection.fetchval(_IS_MEMBER, room, user)
            if joined:
                rooms = select(func.count()).where(members.c.user_id == user)
                check_room_count((await fetch(connection, rooms))[0][0], self._rooms_per_user)
                row = {"room_id": room, "user_id": user, "joined_at": milliseconds(at)}
                await fetch(connection, insert(members).values(row))
            number = (await self._ids.find(connection, [Room(room_id)]))[Room(room_id)]
            ((member_count, last_seq),) = await connection.fetch(_COUNT_AND_LAST, room, number)
        return RoomJoined(room_id, last_seq, member_count, joined)

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        """See `RoomRepository.leave`."""
        room, user = room_id.encode(), user_id.encode()
        async with self._pool.transaction() as connection:
            membership = (members.c.room_id == room, members.c.user_id == user)
            left = await fetch(
                connection, delete(members).where(*membership).returning(members.c.room_id)
            )
            return Left(bool(left), await connection.fetchval(_COUNT, room))

    async def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """See `RoomRepository.is_member`."""
        async with self._pool.transaction() as connection:
            found: bool = await connection.fetchval(_IS_MEMBER, room_id.encode(), user_id.encode())
        return found

    async def member_count(self, room_id: RoomId) -> int:
        """See `RoomRepository.member_count`."""
        async with self._pool.transaction() as connection:
            count: int = await connection.fetchval(_COUNT, room_id.encode())
        return count

    async def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """See `RoomRepository.rooms_of`."""
        async with self._pool.transaction() as connection:
            rows = await fetch(connection, rooms_of(user_id.encode()))
        return [RoomId(row[0].decode()) for row in rows]


_TAKE_TURNS = (
    "SELECT pg_advisory_xact_lock(hashtextextended('chat_member', hashtext(encode($1, 'hex'))))"
)
_IS_MEMBER = "SELECT EXISTS (SELECT FROM chat_member WHERE room_id = $1 AND user_id = $2)"
_COUNT_AND_LAST = """
    SELECT (SELECT count(*) FROM chat_member WHERE room_id = $1),
        (SELECT last_seq FROM chat_conversation WHERE conversation_id = $2)
"""
_COUNT = "SELECT count(*) FROM chat_member WHERE room_id = $1"
