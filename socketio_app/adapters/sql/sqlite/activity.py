"""The activity log in a SQLite file."""

from collections.abc import Callable, Sequence

from socketio_app.adapters.sql.sqlite.readers import SqliteReaders
from socketio_app.domain.activity import Change, Mark
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message


class SqliteActivity:
    """Implements `ActivityLog`.

    The only writer commits activities in the order in which it draws them, so that every committed
    activity is settled.
    """

    def __init__(self, readers: SqliteReaders, committed: Callable[[], int]) -> None:
        self._readers = readers
        self._committed = committed

    async def mark(self) -> Mark:
        """See `ActivityLog.mark`."""
        committed = self._committed()
        return Mark(committed, committed)

    recent_mark = mark

    async def changes(
        self, user_id: UserId, since: int, given: int, limit: int
    ) -> Sequence[Change]:
        """See `ActivityLog.changes`."""
        return await self._readers.run(lambda reader: reader.changes(user_id, since, given, limit))

    async def new_messages(
        self, changes: Sequence[Change], beyond: Sequence[int], since: int, limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `ActivityLog.new_messages`."""
        return await self._readers.run(
            lambda reader: reader.new_messages(changes, beyond, since, limit)
        )
