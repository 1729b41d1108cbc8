"""Whose conversations there are, and how far each has read them, in PostgreSQL."""

from collections.abc import Sequence

from socketio_app.adapters.sql.postgres_pool import Connection, PostgresPool, fetch
from socketio_app.adapters.sql.postgres_statements import CONVERSATION_AT, STANDINGS
from socketio_app.adapters.sql.rows import key_columns, key_of, standing_of
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import ReadUpTo, Standing
from socketio_app.domain.identifiers import UserId


class PostgresConversations:
    """Implements `ConversationLog`."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def of_user(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[Standing]:
        """See `ConversationLog.of_user`."""
        async with self._pool.connection() as connection:
            rows = await fetch(connection, STANDINGS, user_id.encode(), limit, before_activity)
        return [standing_of(row) for row in rows]

    async def unread_counts(
        self, user_id: UserId, standings: Sequence[Standing], most: int
    ) -> Sequence[int]:
        """See `ConversationLog.unread_counts`."""
        columns = key_columns(standing.conversation for standing in standings)
        places = [standing.read_seq for standing in standings]
        async with self._pool.connection() as connection:
            rows = await connection.fetch(COUNT_UNREAD, *columns, places, user_id.encode(), most)
        counts = [0] * len(standings)
        for position, count in rows:
            counts[position - 1] = count
        return counts

    async def mark_read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadUpTo:
        """See `ConversationLog.mark_read`."""
        async with self._pool.transaction() as connection:
            found = await fetch(connection, CONVERSATION_AT, *key_of(conversation))
            if not found:
                return ReadUpTo(0, moved=False)
            number, last_seq = found[0]
            return await mark_read(connection, user_id, number, min(seq, last_seq))


async def mark_read(connection: Connection, user_id: UserId, number: int, seq: int) -> ReadUpTo:
    """Move a person's place of reading forward in a conversation, to a place that there is."""
    user = user_id.encode()
    if seq > 0 and await connection.fetchval(_READ, user, number, seq) is not None:
        return ReadUpTo(seq, moved=True)
    return ReadUpTo(await connection.fetchval(_FIND_READ, user, number) or 0, moved=False)


COUNT_UNREAD = """
    WITH key AS (
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[]) WITH ORDINALITY
            AS key (room_id, first_user_id, second_user_id, read_seq, position)
    ), place AS (
        SELECT position, conversation_id, read_seq FROM key
        JOIN chat_conversation USING (room_id)
        UNION ALL
        SELECT position, conversation_id, read_seq FROM key
        JOIN chat_conversation USING (first_user_id, second_user_id)
    )
    SELECT position, (
        SELECT count(*) FROM (
            SELECT FROM chat_message message
            WHERE message.conversation_id = place.conversation_id
              AND message.seq > place.read_seq AND from_user_id <> $5
            LIMIT $6
        ) unread
    ) FROM place
"""
_READ = """
    INSERT INTO chat_cursor AS cursor (user_id, conversation_id, delivered_seq, read_seq)
    VALUES ($1, $2, 0, $3)
    ON CONFLICT (user_id, conversation_id) DO UPDATE SET read_seq = excluded.read_seq
    WHERE cursor.read_seq < excluded.read_seq
    RETURNING read_seq
"""
_FIND_READ = "SELECT read_seq FROM chat_cursor WHERE user_id = $1 AND conversation_id = $2"
