"""Messages in PostgreSQL."""

from collections.abc import Sequence

import asyncpg

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.postgres_append import ConversationIds, append
from socketio_app.adapters.sql.postgres_pool import PostgresPool, fetch
from socketio_app.adapters.sql.rows import key_of, message_of, page_of
from socketio_app.adapters.sql.statements import conversation_at, page
from socketio_app.application.ports import Place
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import Page, Window
from socketio_app.domain.messaging import Draft, Message, Stored

MOST_WAITING = 20_000
"""Writes that may wait for the database; beyond, sends are refused as `unavailable`."""

LARGEST_BATCH = 1_000


class PostgresMessages:
    """Implements `MessageLog`. Messages that wait at the same time share one transaction."""

    def __init__(self, pool: PostgresPool, ids: ConversationIds) -> None:
        self._pool = pool
        self._ids = ids
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

    async def page(self, conversation: Conversation, window: Window) -> Page:
        """See `MessageLog.page`."""
        async with self._pool.transaction() as connection:
            found = await fetch(connection, conversation_at(key_of(conversation)))
            if not found:
                return Page((), has_more=False, last_seq=0)
            number, last_seq = found[0]
            rows = await fetch(connection, page(number, window))
        return page_of(conversation, window, last_seq, rows)

    async def newest(self, beyond: Sequence[Place], limit: int) -> Sequence[Sequence[Message]]:
        """See `MessageLog.newest`."""
        keys = [key_of(conversation) for conversation, _ in beyond]
        columns = [list(column) for column in zip(*keys, strict=True)] or [[], [], []]
        places = [seq for _, seq in beyond]
        async with self._pool.transaction() as connection:
            rows = await connection.fetch(NEWEST, *columns, places, limit)
        found: list[list[Message]] = [[] for _ in beyond]
        for position, *row in rows:
            conversation, _ = beyond[position - 1]
            found[position - 1].append(message_of(conversation, tuple(row)))
        return found

    async def drain(self) -> None:
        """Wait until nothing waits."""
        await self._commits.drain()

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
            ids = await self._ids.find(connection, [draft.conversation for draft in drafts])
            stored = await append(connection, drafts, ids)
        self._ids.remember(ids)
        return stored


NEWEST = """
    WITH key AS (
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[]) WITH ORDINALITY
            AS key (room_id, first_user_id, second_user_id, beyond, position)
    ), place AS (
        SELECT position, conversation_id, beyond FROM key JOIN chat_conversation USING (room_id)
        UNION ALL
        SELECT position, conversation_id, beyond FROM key
        JOIN chat_conversation USING (first_user_id, second_user_id)
    )
    SELECT position, seq, message_id, from_user_id, content, created_at, client_message_id
    FROM place CROSS JOIN LATERAL (
        SELECT * FROM chat_message message
        WHERE message.conversation_id = place.conversation_id AND message.seq > place.beyond
        ORDER BY message.seq DESC LIMIT $5
    ) newest
    ORDER BY position, seq
"""
