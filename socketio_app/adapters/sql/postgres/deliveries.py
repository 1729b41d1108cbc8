"""Delivery cursors in PostgreSQL."""

from collections.abc import Callable, Sequence

from socketio_app.adapters.sql.deliveries import submit_deliveries
from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.message_columns import MESSAGE_COLUMN_NAMES, message_of
from socketio_app.adapters.sql.postgres.activity import ActivityMarks
from socketio_app.adapters.sql.postgres.append import find_ids
from socketio_app.adapters.sql.postgres.pool import PostgresPool
from socketio_app.adapters.sql.postgres.session import Connection
from socketio_app.adapters.sql.rows import key_columns
from socketio_app.adapters.sql.undelivered import (
    FIRST_PAIRS,
    WAITING_PAIRS,
    WaitingPair,
    enough_pairs,
    waiting_pairs_of,
)
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message

MAX_WAITING = 20_000
"""Maximum number of waiting writes; the messages of further ones stay undelivered."""

MAX_BATCH_WRITES = 1_000

Cursor = tuple[UserId, int]
"""A user, and the id of a conversation."""


class PostgresDeliveries:
    """Implements `DeliveryLog`. Concurrent writes share one transaction."""

    def __init__(self, pool: PostgresPool, marks: ActivityMarks) -> None:
        self._pool = pool
        self._marks = marks
        self.commits: GroupCommit[Sequence[Message], Sequence[Message]] = GroupCommit(
            self._commit, max_waiting=MAX_WAITING, max_batch_writes=MAX_BATCH_WRITES
        )

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        """See `DeliveryLog.undelivered`."""
        user = user_id.encode()
        settled = (await self._marks.recent()).settled
        found: Sequence[Message] = ()
        for max_pairs in (min(limit, FIRST_PAIRS), limit):
            pairs = await self._waiting_pairs(user, settled, max_pairs)
            found = await self._undelivered(user, pairs, limit)
            if len(found) == limit or len(pairs) < max_pairs:
                break
        return found

    async def still_undelivered(self, messages: Sequence[Message]) -> Sequence[Message]:
        """See `DeliveryLog.still_undelivered`."""
        personal = [each for each in messages if each.to_user_id is not None]
        columns = key_columns([each.conversation for each in personal])
        recipients = [each.to_user_id.encode() for each in personal if each.to_user_id is not None]
        seqs = [each.seq for each in personal]
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_STILL_UNDELIVERED, *columns[1:], recipients, seqs)
        return [personal[position - 1] for (position,) in rows]

    def delivered(
        self, messages: Sequence[Message], first_time: Callable[[Sequence[Message]], None]
    ) -> None:
        """See `DeliveryLog.delivered`."""
        submit_deliveries(self.commits, messages, first_time)

    async def _waiting_pairs(
        self, user: bytes, settled: int | None, limit: int
    ) -> Sequence[WaitingPair]:
        async with self._pool.connection() as connection:
            waiting = waiting_pairs_of(await connection.fetch(WAITING_PAIRS, user, limit), limit)
            following = waiting.next_delivered_activity(settled, limit)
            if following is not None:
                await connection.execute(_MOVE_DELIVERED_ACTIVITY, user, following)
        return waiting.pairs

    async def _undelivered(
        self, user: bytes, pairs: Sequence[WaitingPair], limit: int
    ) -> Sequence[Message]:
        found: list[Message] = []
        while pairs and len(found) < limit:
            some = enough_pairs(pairs, limit - len(found))
            found += await self._messages(user, some, limit - len(found))
            pairs = pairs[len(some) :]
        return found

    async def _messages(
        self, user: bytes, pairs: Sequence[WaitingPair], limit: int
    ) -> Sequence[Message]:
        columns = zip(
            *[
                (each.conversation_id, each.delivered_seq, each.last_seq, each.is_to_oneself)
                for each in pairs
            ],
            strict=True,
        )
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_UNDELIVERED, *map(list, columns), user, limit)
        return [
            message_of(pairs[position - 1].conversation, tuple(row)) for position, *row in rows
        ][:limit]

    async def drain(self) -> None:
        """Wait until all deliveries are committed."""
        await self.commits.drain()

    async def _commit(self, batch: Sequence[Sequence[Message]]) -> Sequence[Sequence[Message]]:
        conversations = [message.conversation for messages in batch for message in messages]
        async with self._pool.transaction() as connection:
            # Not cached: a stale id would move the cursor of another conversation.
            ids = await find_ids(connection, list(dict.fromkeys(conversations)))
            moves = [
                [
                    ((message.to_user_id, ids[message.conversation]), message)
                    for message in messages
                    if message.to_user_id is not None and message.conversation in ids
                ]
                for messages in batch
            ]
            reached: dict[Cursor, int] = {}
            for each in moves:
                for cursor, message in each:
                    reached[cursor] = max(reached.get(cursor, 0), message.seq)
            before = await _move(connection, reached)
        return [_newly_delivered(before, each) for each in moves]


def _newly_delivered(
    before: dict[Cursor, int], moves: Sequence[tuple[Cursor, Message]]
) -> list[Message]:
    """Return the messages after the cursors in `before`, and move those forward."""
    found = []
    for cursor, message in moves:
        if message.seq > before[cursor]:
            before[cursor] = message.seq
            found.append(message)
    return found


async def _move(connection: Connection, reached: dict[Cursor, int]) -> dict[Cursor, int]:
    """Move cursors forward; return their previous values."""
    # Always in the same order, to prevent deadlocks between processes.
    ordered = sorted(reached)
    users = [user.encode() for user, _ in ordered]
    conversation_ids = [conversation_id for _, conversation_id in ordered]
    await connection.execute(_CREATE, users, conversation_ids)
    rows = await connection.fetch(_LOCK, users, conversation_ids)
    seqs = [reached[cursor] for cursor in ordered]
    await connection.execute(_MOVE, users, conversation_ids, seqs)
    return {ordered[position - 1]: delivered_seq for position, delivered_seq in rows}


_UNDELIVERED = f"""
    SELECT position, {MESSAGE_COLUMN_NAMES}
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::boolean[]) WITH ORDINALITY
        AS pair (conversation_id, delivered_seq, last_seq, to_oneself, position)
    CROSS JOIN LATERAL (
        SELECT * FROM chat_message message
        WHERE message.conversation_id = pair.conversation_id
          AND message.seq > pair.delivered_seq AND message.seq <= pair.last_seq
          AND (pair.to_oneself OR message.from_user_id <> $5)
        ORDER BY message.seq LIMIT $6
    ) message
    ORDER BY position, seq
"""  # noqa: S608  (constants)
_STILL_UNDELIVERED = """
    SELECT position
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[]) WITH ORDINALITY
        AS message (first_user_id, second_user_id, user_id, seq, position)
    JOIN chat_conversation conversation USING (first_user_id, second_user_id)
    LEFT JOIN chat_cursor delivery ON delivery.user_id = message.user_id
        AND delivery.conversation_id = conversation.conversation_id
    WHERE coalesce(delivered_seq, 0) < message.seq
    ORDER BY position
"""
_MOVE_DELIVERED_ACTIVITY = """
    INSERT INTO chat_user (user_id, delivered_activity) VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE SET delivered_activity = excluded.delivered_activity
    WHERE chat_user.delivered_activity < excluded.delivered_activity
"""
_CREATE = """
    INSERT INTO chat_cursor (user_id, conversation_id, delivered_seq, read_seq)
    SELECT user_id, conversation_id, 0, 0
    FROM unnest($1::bytea[], $2::bigint[]) AS given (user_id, conversation_id)
    ON CONFLICT DO NOTHING
"""
_LOCK = """
    SELECT position, delivered_seq
    FROM unnest($1::bytea[], $2::bigint[]) WITH ORDINALITY
        AS given (user_id, conversation_id, position)
    JOIN chat_cursor USING (user_id, conversation_id)
    ORDER BY position FOR NO KEY UPDATE OF chat_cursor
"""
_MOVE = """
    UPDATE chat_cursor SET delivered_seq = given.seq
    FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS given (user_id, conversation_id, seq)
    WHERE chat_cursor.user_id = given.user_id
      AND chat_cursor.conversation_id = given.conversation_id
      AND delivered_seq < given.seq
"""
