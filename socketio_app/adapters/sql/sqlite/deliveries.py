"""Delivery cursors in a SQLite file."""

from collections.abc import Callable, Sequence
from functools import partial

from socketio_app.adapters.sql.deliveries import submit_deliveries
from socketio_app.adapters.sql.sqlite.reader import SqliteReader
from socketio_app.adapters.sql.sqlite.readers import SqliteReaders
from socketio_app.adapters.sql.sqlite.writer import Commits, SqliteWriter, Write
from socketio_app.adapters.sql.undelivered import FIRST_PAIRS
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message

MAX_MESSAGES_NOTED = 50
"""Maximum number of messages in a write of deliveries; bounds how long it delays an append."""


class SqliteDeliveries:
    """Implements `DeliveryLog`."""

    def __init__(
        self, commits: Commits, readers: SqliteReaders, committed: Callable[[], int]
    ) -> None:
        self._commits = commits
        self._readers = readers
        self._committed = committed

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        """See `DeliveryLog.undelivered`."""
        committed = self._committed()

        def read(reader: SqliteReader) -> tuple[Sequence[Message], int | None]:
            found: Sequence[Message] = ()
            following = None
            for max_pairs in (min(limit, FIRST_PAIRS), limit):
                waiting = reader.waiting_pairs(user_id, max_pairs)
                following = waiting.next_delivered_activity(committed, max_pairs)
                found = reader.undelivered(user_id, waiting.pairs, limit)
                if len(found) == limit or len(waiting.pairs) < max_pairs:
                    break
            return found, following

        messages, following = await self._readers.run(read)
        if following is not None:
            activity = following
            submit_deliveries(
                self._commits,
                lambda writer: writer.move_delivered_activity(user_id, activity),
                _ignore,
            )
        return messages

    async def still_undelivered(self, messages: Sequence[Message]) -> Sequence[Message]:
        """See `DeliveryLog.still_undelivered`."""
        return await self._readers.run(lambda reader: reader.still_undelivered(messages))

    def delivered(
        self, messages: Sequence[Message], first_time: Callable[[Sequence[Message]], None]
    ) -> None:
        """See `DeliveryLog.delivered`."""
        for begin in range(0, len(messages), MAX_MESSAGES_NOTED):
            some = messages[begin : begin + MAX_MESSAGES_NOTED]
            write: Write = partial(_deliver, some)
            submit_deliveries(self._commits, write, first_time)


def _deliver(messages: Sequence[Message], writer: SqliteWriter) -> Sequence[Message]:
    return writer.deliver(messages)


def _ignore(_outcome: object) -> None:
    """Ignore the outcome."""
