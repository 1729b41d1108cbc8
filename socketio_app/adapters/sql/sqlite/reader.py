"""Reads from a SQLite file, on a connection of their own.

In WAL mode, readers and the writer do not block each other. This connection never writes, and
therefore never checkpoints.
"""

import sqlite3
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy.dialects import sqlite

from socketio_app.adapters.sql import undelivered
from socketio_app.adapters.sql.compiled_statement import CompiledStatement
from socketio_app.adapters.sql.conversation_statements import (
    changes,
    states,
    states_with_messages,
)
from socketio_app.adapters.sql.message_columns import MESSAGE_COLUMN_NAMES, message_of
from socketio_app.adapters.sql.outbox_rows import OUTBOX_COLUMN_NAMES, draft_in
from socketio_app.adapters.sql.rows import (
    change_of,
    key_of,
    page_of,
    recent_of,
    state_of,
)
from socketio_app.adapters.sql.statements import page
from socketio_app.adapters.sql.undelivered import WaitingPair, WaitingPairs, waiting_pairs_of
from socketio_app.domain.activity import Change
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import ConversationState, Page, Recent, Window
from socketio_app.domain.identifiers import MessageId, UserId
from socketio_app.domain.messaging import Draft, Message


class SqliteReader:
    """Reads committed data. All methods run in a reader's thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def check(self) -> None:
        """Read one row, to check that the file can be read."""
        self._connection.execute("SELECT epoch FROM chat_store").fetchone()

    def last_seq(self, conversation: Conversation) -> int:
        """See `MessageLog.last_seq`."""
        return self._id_and_last_seq(conversation)[1]

    def page(self, conversation: Conversation, window: Window) -> Page:
        """See `MessageLog.page`."""
        conversation_id, last_seq = self._id_and_last_seq(conversation)
        rows = self._fetch(
            _PAGE, conversation_id, window.limit + 1, window.before_seq, window.after_seq
        )
        return page_of(conversation, window, last_seq, rows)

    def newest(
        self, beyond: Sequence[tuple[Conversation, int]], limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `MessageLog.newest`."""
        return [self._newest(conversation, seq, limit) for conversation, seq in beyond]

    def waiting_pairs(self, user_id: UserId, limit: int) -> WaitingPairs:
        """Return the pairs with undelivered messages to a user."""
        values = {"user_id": user_id.encode(), "limit": limit}
        rows = self._connection.execute(WAITING_PAIRS, values).fetchall()
        return waiting_pairs_of(rows, limit)

    def undelivered(
        self, user_id: UserId, pairs: Sequence[WaitingPair], limit: int
    ) -> Sequence[Message]:
        """Return the first undelivered messages of the pairs."""
        found: list[Message] = []
        for pair in pairs:
            values = (
                pair.conversation_id,
                pair.delivered_seq,
                pair.last_seq,
                pair.is_to_oneself,
                user_id.encode(),
                limit - len(found),
            )
            rows = self._connection.execute(UNDELIVERED, values).fetchall()
            found += [message_of(pair.conversation, row) for row in rows]
            if len(found) >= limit:
                break
        return found

    def still_undelivered(self, messages: Sequence[Message]) -> Sequence[Message]:
        """See `DeliveryLog.still_undelivered`."""
        return [
            message
            for message in messages
            if (recipient := message.to_user_id) is not None
            and self._delivered_seq(recipient, message.conversation) < message.seq
        ]

    def of_user(
        self, user_id: UserId, limit: int, before_activity: int | None
    ) -> Sequence[ConversationState]:
        """See `ConversationLog.of_user`."""
        rows = self._fetch(_STATES, user_id.encode(), limit, before_activity)
        return [state_of(row) for row in rows]

    def recent(self, user_id: UserId, limit: int, before_activity: int | None) -> Sequence[Recent]:
        """See `ConversationLog.recent`."""
        rows = self._fetch(_STATES_WITH_MESSAGES, user_id.encode(), limit, before_activity)
        return [recent_of(row) for row in rows]

    def changes(self, user_id: UserId, since: int, given: int, limit: int) -> Sequence[Change]:
        """See `ActivityLog.changes`."""
        rows = self._fetch(_CHANGES, user_id.encode(), since, given, limit)
        return [change_of(row) for row in rows]

    def new_messages(
        self, changes: Sequence[Change], beyond: Sequence[int], since: int, limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `ActivityLog.new_messages`."""
        return [
            self._new_messages(change.state, seq, since, limit)
            for change, seq in zip(changes, beyond, strict=True)
        ]

    def queued(self, message_ids: Sequence[MessageId]) -> Sequence[Draft]:
        """See `Outbox.find`."""
        found = [self._connection.execute(QUEUED, (each,)).fetchone() for each in message_ids]
        return [draft_in(row) for row in found if row is not None]

    def queued_after(self, message_id: str, limit: int) -> Sequence[Draft]:
        """See `Outbox.page`."""
        rows = self._connection.execute(QUEUED_AFTER, (message_id, limit)).fetchall()
        return [draft_in(row) for row in rows]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _delivered_seq(self, user_id: UserId, conversation: Conversation) -> int:
        conversation_id, _ = self._id_and_last_seq(conversation)
        row = (user_id.encode(), conversation_id)
        found = self._connection.execute(FIND_DELIVERED, row).fetchone()
        return found[0] if found else 0

    def _fetch(self, statement: CompiledStatement, *arguments: bytes | int | None) -> Sequence[Any]:
        sql, values = statement.text(*arguments)
        return self._connection.execute(sql, values).fetchall()

    def _newest(self, conversation: Conversation, seq: int, limit: int) -> Sequence[Message]:
        conversation_id, _ = self._id_and_last_seq(conversation)
        rows = self._connection.execute(NEWEST, (conversation_id, seq, limit)).fetchall()
        return [message_of(conversation, row) for row in reversed(rows)]

    def _new_messages(
        self, state: ConversationState, beyond: int, since: int, limit: int
    ) -> Sequence[Message]:
        conversation_id, _ = self._id_and_last_seq(state.conversation)
        first = max(beyond, state.last_seq - limit)
        # Rows are fetched lazily, so that older ones are not read: activity increases with `seq`.
        rows = self._connection.execute(NEWEST_FIRST, (conversation_id, first, state.last_seq))
        newest = list(takewhile(lambda row: row[-1] > since, rows))
        return [message_of(state.conversation, row[:-1]) for row in reversed(newest)]

    def _id_and_last_seq(self, conversation: Conversation) -> tuple[int, int]:
        room_id, *pair = key_of(conversation)
        if room_id is not None:
            found = self._connection.execute(FIND_ROOM, (room_id,)).fetchone()
        else:
            found = self._connection.execute(FIND_PAIR, pair).fetchone()
        return found or (0, 0)


# Compiling a statement costs more than running it.
_PAGE = CompiledStatement(page, sqlite.dialect())
_STATES = CompiledStatement(states, sqlite.dialect())
_STATES_WITH_MESSAGES = CompiledStatement(states_with_messages, sqlite.dialect())
_CHANGES = CompiledStatement(changes, sqlite.dialect())

FIND_ROOM = "SELECT conversation_id, last_seq FROM chat_conversation WHERE room_id = ?"
FIND_PAIR = """
    SELECT conversation_id, last_seq FROM chat_conversation
    WHERE first_user_id = ? AND second_user_id = ?
"""
FIND_DELIVERED = "SELECT delivered_seq FROM chat_cursor WHERE user_id = ? AND conversation_id = ?"
NEWEST = f"""
    SELECT {MESSAGE_COLUMN_NAMES} FROM chat_message
    WHERE conversation_id = ? AND seq > ? ORDER BY seq DESC LIMIT ?
"""  # noqa: S608  (constants)
WAITING_PAIRS = undelivered.WAITING_PAIRS.replace("$1", ":user_id").replace("$2", ":limit")
UNDELIVERED = f"""
    SELECT {MESSAGE_COLUMN_NAMES} FROM chat_message
    WHERE conversation_id = ? AND seq > ? AND seq <= ? AND (? OR from_user_id <> ?)
    ORDER BY seq LIMIT ?
"""  # noqa: S608  (constants)
NEWEST_FIRST = f"""
    SELECT {MESSAGE_COLUMN_NAMES}, activity
    FROM chat_message WHERE conversation_id = ? AND seq > ? AND seq <= ? ORDER BY seq DESC
"""  # noqa: S608  (constants)
QUEUED = f"SELECT {OUTBOX_COLUMN_NAMES} FROM chat_outbox WHERE message_id = ?"  # noqa: S608  (constants)
QUEUED_AFTER = f"""
    SELECT {OUTBOX_COLUMN_NAMES} FROM chat_outbox WHERE message_id > ?
    ORDER BY message_id LIMIT ?
"""  # noqa: S608  (constants)
