"""The activity log in PostgreSQL, where several processes write.

Transactions may commit in another order than they drew their activities. To take a mark, read the
highest activity drawn, then get a transaction id. A transaction that draws an activity already has
a transaction id, because it holds the lock of a conversation's row; so all transactions that drew
an activity up to the mark have lower ids. Once the lowest running id is above the mark's own id,
they have all ended, and the mark is settled. (The `xmax` of the snapshot does not work: it follows
the highest id that has ended, while lower ones may still be running.)
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import attrs

from socketio_app.adapters.sql.message_columns import MESSAGE_COLUMN_NAMES, message_of
from socketio_app.adapters.sql.postgres.pool import PostgresPool, fetch
from socketio_app.adapters.sql.postgres.statements import CHANGES
from socketio_app.adapters.sql.rows import change_of, key_columns
from socketio_app.domain.activity import Change, Mark
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message

RECENT_SECONDS = 1.0
"""Maximum age of a mark that is reused."""

MARK_TIMEOUT_SECONDS = 60.0
"""Time after which a mark counts as settled. The chat's own transactions have ended by then, but
another application in the same cluster may hold the lowest running id for hours."""

MAX_MARKS = 64
"""Maximum number of unsettled marks, which are `MARK_TIMEOUT_SECONDS` / 64 apart or more."""

MAX_CHECKS = 5
"""Number of times that a new mark is checked before an older one is used."""


@attrs.frozen
class _Taken:
    activity: int
    transaction_id: int
    at: float


class ActivityMarks:
    """The marks of one process.

    Args:
        pool: connections to the database.
        monotonic: monotonic clock, in seconds.
    """

    def __init__(self, pool: PostgresPool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self.forget()

    def forget(self) -> None:
        """Forget all marks, which belong to another database."""
        self._waiting: deque[_Taken] = deque()
        self._mark = Mark(None, 0)
        self._taken_at = float("-inf")

    async def take(self) -> Mark:
        """Take a mark and return it; its `settled` may be that of an older mark."""
        async with self._pool.connection() as connection:
            ((activity, transaction_id),) = await connection.fetch(_TAKE)
        taken = _Taken(activity, transaction_id, self._monotonic())
        self._mark = attrs.evolve(self._mark, latest=activity)
        self._taken_at = taken.at
        for _ in range(MAX_CHECKS):
            # Each check is a transaction of its own, also behind a pooler.
            async with self._pool.connection() as connection:
                lowest_running = await connection.fetchval(_LOWEST_RUNNING)
            self._settle(taken, lowest_running)
            if self._mark.settled is not None and self._mark.settled >= activity:
                return self._mark
        self._wait_for(taken)
        return self._mark

    async def recent(self) -> Mark:
        """Return a mark of at most `RECENT_SECONDS`; take one if there is none."""
        if self._is_old():
            async with self._lock:
                if self._is_old():
                    await self.take()
        return self._mark

    def _is_old(self) -> bool:
        return self._monotonic() - self._taken_at > RECENT_SECONDS

    def _settle(self, taken: _Taken, lowest_running: int) -> None:
        """Update the settled mark, given the lowest id of a running transaction."""
        settled = self._mark.settled
        timed_out_at = taken.at - MARK_TIMEOUT_SECONDS
        while self._waiting and (
            self._waiting[0].transaction_id < lowest_running or self._waiting[0].at < timed_out_at
        ):
            settled = max(settled or 0, self._waiting.popleft().activity)
        if taken.transaction_id < lowest_running:
            settled = max(settled or 0, taken.activity)
        self._mark = attrs.evolve(self._mark, settled=settled)

    def _wait_for(self, taken: _Taken) -> None:
        """Check the mark again later, unless a mark of nearly the same time is already waiting."""
        apart = MARK_TIMEOUT_SECONDS / MAX_MARKS
        if not self._waiting or taken.at - self._waiting[-1].at >= apart:
            self._waiting.append(taken)


class PostgresActivity:
    """Implements `ActivityLog`."""

    def __init__(self, pool: PostgresPool, marks: ActivityMarks) -> None:
        self._pool = pool
        self._marks = marks

    async def mark(self) -> Mark:
        """See `ActivityLog.mark`."""
        return await self._marks.take()

    async def recent_mark(self) -> Mark:
        """See `ActivityLog.recent_mark`."""
        return await self._marks.recent()

    async def changes(
        self, user_id: UserId, since: int, given: int, limit: int
    ) -> Sequence[Change]:
        """See `ActivityLog.changes`."""
        async with self._pool.connection() as connection:
            rows = await fetch(connection, CHANGES, user_id.encode(), since, given, limit)
        return [change_of(row) for row in rows]

    async def new_messages(
        self, changes: Sequence[Change], beyond: Sequence[int], since: int, limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `ActivityLog.new_messages`."""
        conversations = [change.state.conversation for change in changes]
        columns = key_columns(conversations)
        last_seqs = [change.state.last_seq for change in changes]
        async with self._pool.connection() as connection:
            rows = await connection.fetch(
                NEW_MESSAGES, *columns, last_seqs, list(beyond), since, limit
            )
        found: list[list[Message]] = [[] for _ in changes]
        for position, *row in rows:
            found[position - 1].append(message_of(conversations[position - 1], tuple(row)))
        return found


_TAKE = """
    SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END,
        pg_current_xact_id()::text::bigint
    FROM chat_activity
"""
_LOWEST_RUNNING = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"

# Walks back from the newest message while messages are new: activity increases with `seq`, and
# `seq` has no gaps.
NEW_MESSAGES = f"""
    WITH key AS (
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[])
            WITH ORDINALITY
            AS key (room_id, first_user_id, second_user_id, newest_seq, beyond, position)
    ), place AS (
        SELECT position, conversation_id, newest_seq, beyond
        FROM key JOIN chat_conversation USING (room_id)
        UNION ALL
        SELECT position, conversation_id, newest_seq, beyond
        FROM key JOIN chat_conversation USING (first_user_id, second_user_id)
    )
    SELECT position, {MESSAGE_COLUMN_NAMES}
    FROM place CROSS JOIN LATERAL (
        WITH RECURSIVE newest AS (
            SELECT message.* FROM chat_message message
            WHERE message.conversation_id = place.conversation_id
              AND message.seq = place.newest_seq
              AND message.seq > place.beyond AND message.activity > $6
            UNION ALL
            SELECT message.* FROM newest JOIN chat_message message
            ON message.conversation_id = newest.conversation_id AND message.seq = newest.seq - 1
            WHERE message.seq > place.beyond AND message.activity > $6
        )
        SELECT * FROM newest LIMIT $7
    ) newest
    ORDER BY position, seq
"""  # noqa: S608  (constants)
