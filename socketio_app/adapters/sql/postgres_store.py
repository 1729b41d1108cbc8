"""The store in PostgreSQL, which several processes may use at once."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.migrations import HEAD, VERSION_TABLE, SchemaError
from socketio_app.adapters.sql.postgres_append import append, find_ids
from socketio_app.adapters.sql.postgres_pool import Connection, PostgresPool, fetch
from socketio_app.adapters.sql.rows import conversation_of, key_of, message_of, milliseconds
from socketio_app.adapters.sql.schema import members
from socketio_app.adapters.sql.statements import conversation_at, rooms_of, undelivered
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored
from socketio_app.domain.rooms import Joined, Left, check_room_count

MOST_WAITING = 20_000
"""Writes that may wait for the database; beyond, sends are refused as `unavailable`."""

LARGEST_BATCH = 1_000
MOST_IDS = 50_000
"""Of how many conversations the store remembers the number."""


class PostgresStore:
    """Keeps everything in a PostgreSQL database. Implements the `Store` port."""

    def __init__(self, url: str, rooms_per_user: int) -> None:
        self._pool = PostgresPool(url)
        self.epoch = ""
        self.messages = PostgresMessages(self._pool)
        self.deliveries = PostgresDeliveries(self._pool, self.messages)
        self.rooms = PostgresRooms(self._pool, rooms_per_user)

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
        await self._pool.close()


class PostgresMessages:
    """Implements `MessageLog`. Messages that wait at the same time share one transaction."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool
        self._ids: dict[Conversation, int] = {}
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

    async def ids_of(
        self, connection: Connection, conversations: Sequence[Conversation]
    ) -> dict[Conversation, int]:
        """The numbers of some conversations, which never change."""
        unknown = [each for each in dict.fromkeys(conversations) if each not in self._ids]
        found = await find_ids(connection, unknown) if unknown else {}
        return {each: self._ids.get(each) or found[each] for each in conversations}

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
            ids = await self.ids_of(connection, [draft.conversation for draft in drafts])
            stored = await append(connection, drafts, ids)
        # Only now: before the commit, a number could still be given to another.
        self._ids.update(ids)
        if len(self._ids) > MOST_IDS:
            self._ids.clear()
        return stored


class PostgresDeliveries:
    """Implements `DeliveryLog`."""

    def __init__(self, pool: PostgresPool, messages: PostgresMessages) -> None:
        self._pool = pool
        self._messages = messages

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        """See `DeliveryLog.undelivered`."""
        async with self._pool.transaction() as connection:
            rows = await fetch(connection, undelivered(user_id.encode(), limit))
        return [message_of(conversation_of(row[:3]), row[3:]) for row in rows]

    async def delivered(self, message: Message) -> bool:
        """See `DeliveryLog.delivered`."""
        recipient = message.to_user_id
        if recipient is None:
            return False
        async with self._pool.transaction() as connection:
            ids = await self._messages.ids_of(connection, [message.conversation])
            moved = await connection.fetchval(
                _DELIVER, recipient.encode(), ids[message.conversation], message.seq
            )
        return moved is not None


class PostgresRooms:
    """Implements `RoomRepository`."""

    def __init__(self, pool: PostgresPool, rooms_per_user: int) -> None:
        self._pool = pool
        self._rooms_per_user = rooms_per_user

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> Joined:
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
            return Joined(joined, await connection.fetchval(_COUNT, room))

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


_DELIVER = """
    INSERT INTO chat_cursor AS cursor (user_id, conversation_id, delivered_seq, read_seq)
    VALUES ($1, $2, $3, 0)
    ON CONFLICT (user_id, conversation_id) DO UPDATE SET delivered_seq = excluded.delivered_seq
    WHERE cursor.delivered_seq < excluded.delivered_seq
    RETURNING delivered_seq
"""
_TAKE_TURNS = (
    "SELECT pg_advisory_xact_lock(hashtextextended('chat_member', hashtext(encode($1, 'hex'))))"
)
_IS_MEMBER = "SELECT EXISTS (SELECT FROM chat_member WHERE room_id = $1 AND user_id = $2)"
_COUNT = "SELECT count(*) FROM chat_member WHERE room_id = $1"
