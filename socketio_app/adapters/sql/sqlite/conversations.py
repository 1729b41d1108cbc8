"""Users' conversations and read cursors in a SQLite file."""

from collections.abc import Sequence

from socketio_app.adapters.sql.sqlite.readers import SqliteReaders
from socketio_app.adapters.sql.sqlite.writer import Commits
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import ConversationState, ReadMarker, Recent
from socketio_app.domain.identifiers import UserId


class SqliteConversations:
    """Implements `ConversationLog`."""

    def __init__(self, commits: Commits, readers: SqliteReaders) -> None:
        self._commits = commits
        self._readers = readers

    async def of_user(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[ConversationState]:
        """See `ConversationLog.of_user`."""
        return await self._readers.run(
            lambda reader: reader.of_user(user_id, limit, before_activity)
        )

    async def recent(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[Recent]:
        """See `ConversationLog.recent`."""
        return await self._readers.run(
            lambda reader: reader.recent(user_id, limit, before_activity)
        )

    async def mark_read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadMarker:
        """See `ConversationLog.mark_read`."""
        read: ReadMarker = await self._commits.submit(
            lambda writer: writer.mark_read(user_id, conversation, seq)
        )
        return read
