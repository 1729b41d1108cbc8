"""Users' conversations and read cursors, in PostgreSQL."""

from collections.abc import Sequence

from socketio_app.adapters.sql.postgres.pool import PostgresPool, fetch
from socketio_app.adapters.sql.postgres.session import Connection
from socketio_app.adapters.sql.postgres.statements import (
    CONVERSATION_AT,
    STATES,
    STATES_WITH_MESSAGES,
)
from socketio_app.adapters.sql.rows import key_of, recent_of, state_of
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import ConversationState, ReadMarker, Recent
from socketio_app.domain.identifiers import UserId


class PostgresConversations:
    """Implements `ConversationLog`."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def of_user(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[ConversationState]:
        """See `ConversationLog.of_user`."""
        async with self._pool.connection() as connection:
            rows = await fetch(connection, STATES, user_id.encode(), limit, before_activity)
        return [state_of(row) for row in rows]

    async def recent(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[Recent]:
        """See `ConversationLog.recent`."""
        async with self._pool.connection() as connection:
            rows = await fetch(
                connection, STATES_WITH_MESSAGES, user_id.encode(), limit, before_activity
            )
        return [recent_of(row) for row in rows]

    async def mark_read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadMarker:
        """See `ConversationLog.mark_read`."""
        async with self._pool.transaction() as connection:
            found = await fetch(connection, CONVERSATION_AT, *key_of(conversation))
            if not found:
                return ReadMarker(0, moved=False)
            conversation_id, last_seq = found[0]
            return await mark_read(connection, user_id, conversation_id, min(seq, last_seq))


async def mark_read(
    connection: Connection, user_id: UserId, conversation_id: int, seq: int
) -> ReadMarker:
    """Move a user's read cursor forward to an existing `seq`."""
    user = user_id.encode()
    if seq > 0 and await connection.fetchval(_READ, user, conversation_id, seq) is not None:
        return ReadMarker(seq, moved=True)
    read_seq = await connection.fetchval(_FIND_READ, user, conversation_id)
    return ReadMarker(read_seq or 0, moved=False)


_READ = """
    INSERT INTO chat_cursor AS cursor (user_id, conversation_id, delivered_seq, read_seq)
    VALUES ($1, $2, 0, $3)
    ON CONFLICT (user_id, conversation_id) DO UPDATE SET read_seq = excluded.read_seq
    WHERE cursor.read_seq < excluded.read_seq
    RETURNING read_seq
"""
_FIND_READ = "SELECT read_seq FROM chat_cursor WHERE user_id = $1 AND conversation_id = $2"
