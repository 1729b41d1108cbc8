"""The message log in PostgreSQL."""

import logging
from collections.abc import Sequence

import asyncpg

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.message_columns import MESSAGE_COLUMN_NAMES, message_of
from socketio_app.adapters.sql.postgres.append import ConversationIds, StaleIdsError, append
from socketio_app.adapters.sql.postgres.other_processes import OtherProcesses
from socketio_app.adapters.sql.postgres.pool import PostgresConnection, PostgresPool, fetch
from socketio_app.adapters.sql.postgres.session import Connector
from socketio_app.adapters.sql.postgres.statements import CONVERSATION_AT, PAGE
from socketio_app.adapters.sql.rows import key_columns, key_of, page_of
from socketio_app.application.ports import ConversationSeq
from socketio_app.application.store_capabilities import OnAppended
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.history import Page, Window
from socketio_app.domain.messaging import Draft, Message, Stored

log = logging.getLogger("socketio_app.store")

MAX_WAITING = 20_000
"""Maximum number of waiting writes; further messages are rejected as `unavailable`."""

MAX_BATCH_WRITES = 1_000

APPENDING = {
    # Plans are cached, possibly from a time when the tables were empty and sequential scans were
    # best, and kept while the tables grow. These settings make the planner use the indexes.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Settings of the connection for appends."""


class PostgresMessages:
    """Implements `MessageLog` and `AppendQueue`. Concurrent appends share one transaction."""

    def __init__(self, connector: Connector, pool: PostgresPool) -> None:
        self._pool = pool
        self._ids = ConversationIds()
        self._appending = PostgresConnection(connector, APPENDING, OtherProcesses().look)
        self.commits: GroupCommit[Draft, Stored] = GroupCommit(
            self._commit, max_waiting=MAX_WAITING, max_batch_writes=MAX_BATCH_WRITES
        )

    async def connect(self) -> None:
        """Open the session that appends messages, and notice other processes (`OtherProcesses`).

        Raises:
            Unavailable: the database cannot be reached.
        """
        async with self._appending.statement():
            pass

    async def append(self, draft: Draft) -> Stored:
        """See `MessageLog.append`."""
        return await self.commits.submit(draft)

    @property
    def is_full(self) -> bool:
        """See `AppendQueue.is_full`."""
        return self.commits.is_full

    def append_soon(self, draft: Draft, on_appended: OnAppended) -> None:
        """See `AppendQueue.append_soon`."""
        self.commits.submit_soon(draft, on_appended)

    async def last_seq(self, conversation: Conversation) -> int:
        """See `MessageLog.last_seq`."""
        async with self._pool.connection() as connection:
            rows = await fetch(connection, CONVERSATION_AT, *key_of(conversation))
        return rows[0][1] if rows else 0

    async def page(self, conversation: Conversation, window: Window) -> Page:
        """See `MessageLog.page`."""
        async with self._pool.transaction() as connection:
            found = await fetch(connection, CONVERSATION_AT, *key_of(conversation))
            if not found:
                return Page((), has_more=False, last_seq=0)
            conversation_id, last_seq = found[0]
            rows = await fetch(
                connection,
                PAGE,
                conversation_id,
                window.limit + 1,
                window.before_seq,
                window.after_seq,
            )
        return page_of(conversation, window, last_seq, rows)

    async def newest(
        self, beyond: Sequence[ConversationSeq], limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `MessageLog.newest`."""
        columns = key_columns(conversation for conversation, _ in beyond)
        seqs = [seq for _, seq in beyond]
        async with self._pool.connection() as connection:
            rows = await connection.fetch(NEWEST, *columns, seqs, limit)
        found: list[list[Message]] = [[] for _ in beyond]
        for position, *row in rows:
            conversation, _ = beyond[position - 1]
            found[position - 1].append(message_of(conversation, tuple(row)))
        return found

    def forget_ids(self) -> None:
        """Forget cached conversation ids, which may belong to another database."""
        self._ids.forget()

    async def close(self) -> None:
        """Commit waiting writes, and disconnect."""
        await self.commits.drain()
        await self._appending.close()

    async def _commit(self, drafts: Sequence[Draft]) -> Sequence[Stored | Exception]:
        """Store a batch; among drafts that are retries of each other, only the first."""
        retries = [_retry_key(draft) for draft in drafts]
        firsts: dict[object, Draft] = {}
        for key, draft in zip(retries, drafts, strict=True):
            firsts.setdefault(key, draft)
        stored = dict(zip(firsts, await self._store(list(firsts.values())), strict=True))
        return [
            stored[key] if firsts[key] is draft else _duplicate(stored[key])
            for key, draft in zip(retries, drafts, strict=True)
        ]

    async def _store(self, drafts: Sequence[Draft]) -> Sequence[Stored | Exception]:
        try:
            return await self._store_together(drafts)
        except asyncpg.PostgresError as error:
            if len(drafts) == 1:
                return [error]
        # One draft made the statement fail: store each by itself, so that only that draft fails.
        return [await self._store_alone(draft) for draft in drafts]

    async def _store_alone(self, draft: Draft) -> Stored | Exception:
        try:
            (outcome,) = await self._store([draft])
        except Unavailable as error:
            return error  # of this draft only; those before it are stored
        return outcome

    async def _store_together(self, drafts: Sequence[Draft]) -> list[Stored]:
        try:
            return await self._append(drafts)
        except StaleIdsError:
            log.warning("conversation ids changed: looking them up again")
            self._ids.forget()
        return await self._append(drafts)

    async def _append(self, drafts: Sequence[Draft]) -> list[Stored]:
        ids = await self._ids.find(self._appending, [draft.conversation for draft in drafts])
        async with self._appending.statement() as connection:
            return await append(connection, drafts, ids)


def _retry_key(draft: Draft) -> object:
    """Return a key that is equal for drafts that are retries of each other."""
    if draft.client_message_id is None:
        return draft.message_id
    return draft.conversation, draft.from_user_id, draft.client_message_id


def _duplicate(outcome: Stored | Exception) -> Stored | Exception:
    """Return the outcome of a retry, given that of the first draft."""
    return Stored(outcome.message, duplicate=True) if isinstance(outcome, Stored) else outcome


NEWEST = f"""
    WITH key AS (
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[]) WITH ORDINALITY
            AS key (room_id, first_user_id, second_user_id, beyond, position)
    ), place AS (
        SELECT position, conversation_id, beyond FROM key JOIN chat_conversation USING (room_id)
        UNION ALL
        SELECT position, conversation_id, beyond FROM key
        JOIN chat_conversation USING (first_user_id, second_user_id)
    )
    SELECT position, {MESSAGE_COLUMN_NAMES}
    FROM place CROSS JOIN LATERAL (
        SELECT * FROM chat_message message
        WHERE message.conversation_id = place.conversation_id AND message.seq > place.beyond
        ORDER BY message.seq DESC LIMIT $5
    ) newest
    ORDER BY position, seq
"""  # noqa: S608  (constants)
