"""Messages in a SQLite file."""

from collections.abc import Sequence

from socketio_app.adapters.sql.sqlite.readers import SqliteReaders
from socketio_app.adapters.sql.sqlite.writer import Commits
from socketio_app.application.ports import ConversationSeq
from socketio_app.application.store_capabilities import OnAppended
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import Page, Window
from socketio_app.domain.messaging import Draft, Message, Stored


class SqliteMessages:
    """Implements `MessageLog` and `AppendQueue`."""

    def __init__(self, commits: Commits, readers: SqliteReaders) -> None:
        self._commits = commits
        self._readers = readers

    async def append(self, draft: Draft) -> Stored:
        """See `MessageLog.append`."""
        stored: Stored = await self._commits.submit(lambda writer: writer.append(draft))
        return stored

    @property
    def is_full(self) -> bool:
        """See `AppendQueue.is_full`."""
        return self._commits.is_full

    def append_soon(self, draft: Draft, on_appended: OnAppended) -> None:
        """See `AppendQueue.append_soon`."""
        self._commits.submit_soon(lambda writer: writer.append(draft), on_appended)

    async def last_seq(self, conversation: Conversation) -> int:
        """See `MessageLog.last_seq`."""
        return await self._readers.run(lambda reader: reader.last_seq(conversation))

    async def page(self, conversation: Conversation, window: Window) -> Page:
        """See `MessageLog.page`."""
        return await self._readers.run(lambda reader: reader.page(conversation, window))

    async def newest(
        self, beyond: Sequence[ConversationSeq], limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `MessageLog.newest`."""
        return await self._readers.run(lambda reader: reader.newest(beyond, limit))
