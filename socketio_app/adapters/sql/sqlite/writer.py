"""The only writer to a SQLite file, in a thread of its own.

One connection does all writes and all checkpoints: SQLite before 3.51.3 can corrupt a file in WAL
mode if two connections checkpoint at once. Being the only writer, it can cache the last `seq` of
each conversation.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import attrs

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.message_columns import (
    MESSAGE_COLUMN_NAMES,
    MESSAGE_COLUMNS,
    message_of,
    message_row,
)
from socketio_app.adapters.sql.rows import key_of
from socketio_app.adapters.sql.times import milliseconds
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.history import ReadMarker
from socketio_app.domain.identifiers import MessageId, RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored

MAX_CACHED_CONVERSATIONS = 50_000
"""Maximum number of conversations in the writer's cache."""

Write = Callable[["SqliteWriter"], Any]
"""A function that runs in the writer's transaction; its return value is the outcome."""

Commits = GroupCommit[Write, Any]
"""Collects writes for the writer."""


@attrs.define
class CachedConversation:
    """A conversation in the writer's cache."""

    conversation_id: int
    last_seq: int = 0
    last_seq_to_first: int = 0
    last_seq_to_second: int = 0
    activity: int = 0
    """0 until the first join or message."""

    def advance(self, message: Message, activity: int) -> None:
        """Update the conversation with its newest message."""
        self.last_seq = message.seq
        self.activity = activity
        pair = message.conversation
        if isinstance(pair, Pair):
            recipient = message.to_user_id
            if recipient == pair.first:
                self.last_seq_to_first = message.seq
            if recipient == pair.second:
                self.last_seq_to_second = message.seq


class SqliteWriter:
    """Runs writes in transactions. All methods run in the writer's thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._cached: dict[Conversation, CachedConversation] = {}
        self._changed: dict[int, CachedConversation] = {}
        self._sent: dict[tuple[bytes, bytes], int] = {}
        self._activity: int = connection.execute(_LATEST_ACTIVITY).fetchone()[0]
        self.committed_activity: int = self._activity
        """The highest activity that readers can see; read from other threads."""

    def commit(self, writes: Sequence[Write]) -> list[Any]:
        """Run writes in one transaction; a write that fails does not affect the others.

        Raises:
            Unavailable: the transaction failed, because the disk is full or another process has
                locked the file. Nothing was stored.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._outcome(write) for write in writes]
            self._store_conversations()
            self.connection.execute("COMMIT")
            self.committed_activity = self._activity
        except sqlite3.Error as error:
            self._roll_back()
            raise Unavailable("cannot write to the store") from error
        except BaseException:
            self._roll_back()
            raise
        return outcomes

    def append(self, draft: Draft) -> Stored:
        """Store a message with its conversation's next `seq`, or find the one stored before."""
        cached = self._find_or_create(draft.conversation)
        row = message_row(draft, cached.last_seq + 1)
        activity = self._activity + 1
        done = self.connection.execute(_INSERT_MESSAGE, (cached.conversation_id, *row, activity))
        if done.rowcount == 0:
            return self._first_message(draft, cached)
        self._activity = activity
        message = draft.at(row[0])
        cached.advance(message, activity)
        self._changed[cached.conversation_id] = cached
        if isinstance(draft.conversation, Room):
            self._sent[draft.conversation.room_id.encode(), row[2]] = message.seq
        return Stored(message, duplicate=False)

    def deliver(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Move the recipients' cursors forward; return the messages that were after them."""
        if len(messages) == 1:
            return [message for message in messages if self._deliver(message)]
        return self._deliver_many(messages)

    def move_delivered_activity(self, user_id: UserId, activity: int) -> None:
        """Store the activity up to which nothing is undelivered to a user."""
        self.connection.execute(_MOVE_DELIVERED_ACTIVITY, (user_id.encode(), activity))

    def mark_read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadMarker:
        """Move a user's read cursor forward."""
        cached = self._cached.get(conversation) or self._find(conversation)
        if cached is None:
            return ReadMarker(0, moved=False)
        user = user_id.encode()
        read_seq = min(seq, cached.last_seq)
        row = (user, cached.conversation_id, read_seq)
        if read_seq > 0 and self.connection.execute(_READ, row).rowcount == 1:
            return ReadMarker(read_seq, moved=True)
        found = self.connection.execute(_FIND_READ, row[:2]).fetchone()
        return ReadMarker(found[0] if found else 0, moved=False)

    def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> int:
        """Store a membership; return the `seq` of the room's newest message."""
        cached = self._find_or_create(Room(room_id))
        activity = self._activity + 1
        row = (room_id.encode(), user_id.encode(), milliseconds(at), activity)
        if self.connection.execute(_JOIN, row).rowcount == 0:
            return cached.last_seq
        self._activity = activity
        self.connection.execute(_STORE_ACTIVITY, (activity,))
        self.connection.execute(_INCREMENT_MEMBER_COUNT, (cached.conversation_id,))
        if cached.activity == 0:
            cached.activity = activity
            self._changed[cached.conversation_id] = cached
        self.mark_read(user_id, Room(room_id), cached.last_seq)
        return cached.last_seq

    def leave(self, row: tuple[bytes, bytes]) -> None:
        """Remove a membership, given as room and user."""
        if self.connection.execute(_LEAVE, row).rowcount == 1:
            self.connection.execute(_DECREMENT_MEMBER_COUNT, row[:1])

    def remove_queued(self, message_ids: Sequence[MessageId]) -> None:
        """Remove messages from the outbox."""
        self.connection.executemany(_REMOVE_QUEUED, [(each,) for each in message_ids])

    def check(self) -> None:
        """Write without a change, to check that the disk is not full or read-only."""
        self.connection.execute("UPDATE chat_store SET epoch = epoch")

    def close(self) -> None:
        """Close the connection, which moves the write-ahead log into the file."""
        self.connection.close()

    def _deliver(self, message: Message) -> bool:
        recipient = message.to_user_id
        if recipient is None:
            return False
        conversation_id = self._find_or_create(message.conversation).conversation_id
        row = (recipient.encode(), conversation_id, message.seq)
        return self.connection.execute(_DELIVER, row).rowcount == 1

    def _deliver_many(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Do the same as `_deliver`, with one write for each cursor instead of each message."""
        newest: dict[tuple[UserId, Conversation], Message] = {}
        for message in messages:
            recipient = message.to_user_id
            if recipient is not None:
                cursor = recipient, message.conversation
                newest[cursor] = max(newest.get(cursor, message), message, key=_seq)
        delivered = {cursor: self._delivered_seq(*cursor) for cursor, message in newest.items()}
        for message in newest.values():
            self._deliver(message)
        first: list[Message] = []
        for message in messages:
            recipient = message.to_user_id
            if recipient is not None:
                cursor = recipient, message.conversation
                if message.seq > delivered[cursor]:
                    delivered[cursor] = message.seq
                    first.append(message)
        return first

    def _delivered_seq(self, user_id: UserId, conversation: Conversation) -> int:
        conversation_id = self._find_or_create(conversation).conversation_id
        row = (user_id.encode(), conversation_id)
        found = self.connection.execute(_FIND_DELIVERED, row).fetchone()
        return found[0] if found else 0

    def _outcome(self, write: Write) -> Any:
        try:
            return write(self)
        except (sqlite3.IntegrityError, sqlite3.DataError) as error:
            return error  # only the statement was rolled back; the transaction continues

    def _first_message(self, draft: Draft, cached: CachedConversation) -> Stored:
        assert draft.client_message_id is not None  # noqa: S101  (nothing else can conflict)
        found = self.connection.execute(
            _FIND_RETRIED,
            (
                cached.conversation_id,
                draft.from_user_id.encode(),
                draft.client_message_id.encode(),
            ),
        ).fetchone()
        return Stored(message_of(draft.conversation, found), duplicate=True)

    def _find_or_create(self, conversation: Conversation) -> CachedConversation:
        cached = self._cached.get(conversation)
        if cached is None:
            cached = self._find(conversation) or self._create(conversation)
            self._cached[conversation] = cached
        return cached

    def _find(self, conversation: Conversation) -> CachedConversation | None:
        room_id, *pair = key_of(conversation)
        if room_id is not None:
            found = self.connection.execute(_FIND_ROOM, (room_id,)).fetchone()
        else:
            found = self.connection.execute(_FIND_PAIR, pair).fetchone()
        return None if found is None else CachedConversation(*found)

    def _create(self, conversation: Conversation) -> CachedConversation:
        inserted = self.connection.execute(_INSERT_CONVERSATION, key_of(conversation))
        assert inserted.lastrowid is not None  # noqa: S101  (SQLite gives every row an id)
        return CachedConversation(inserted.lastrowid)

    def _store_conversations(self) -> None:
        self.connection.executemany(_STORE_CONVERSATION, map(_row, self._changed.values()))
        self._changed.clear()
        if self._sent:
            rows = [(seq, room, user) for (room, user), seq in self._sent.items()]
            self.connection.executemany(_STORE_SENT, rows)
            self._sent.clear()
        if len(self._cached) > MAX_CACHED_CONVERSATIONS:
            self._cached.clear()

    def _roll_back(self) -> None:
        """Roll back the transaction, and clear the caches."""
        self._cached.clear()
        self._changed.clear()
        self._sent.clear()
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")


def _seq(message: Message) -> int:
    return message.seq


def _row(cached: CachedConversation) -> tuple[int, ...]:
    return (
        cached.last_seq,
        cached.last_seq_to_first,
        cached.last_seq_to_second,
        cached.activity,
        cached.conversation_id,
    )


_LATEST_ACTIVITY = """
    SELECT max(chat_store.activity, coalesce((SELECT max(activity) FROM chat_conversation), 0))
    FROM chat_store
"""
_STORE_ACTIVITY = "UPDATE chat_store SET activity = ?"
_CONVERSATION = """
    SELECT conversation_id, last_seq, last_seq_to_first, last_seq_to_second, activity
    FROM chat_conversation
"""
_FIND_ROOM = f"{_CONVERSATION} WHERE room_id = ?"
_FIND_PAIR = f"{_CONVERSATION} WHERE first_user_id = ? AND second_user_id = ?"
_INSERT_CONVERSATION = """
    INSERT INTO chat_conversation (room_id, first_user_id, second_user_id, last_seq,
        last_seq_to_first, last_seq_to_second, activity)
    VALUES (?, ?, ?, 0, 0, 0, 0)
"""
_INSERT_MESSAGE = f"""
    INSERT INTO chat_message (conversation_id, {MESSAGE_COLUMN_NAMES}, activity)
    VALUES (?, {", ".join("?" for _ in MESSAGE_COLUMNS)}, ?)
    ON CONFLICT (conversation_id, from_user_id, client_message_id)
        WHERE client_message_id IS NOT NULL DO NOTHING
"""  # noqa: S608  (constants)
_FIND_RETRIED = f"""
    SELECT {MESSAGE_COLUMN_NAMES} FROM chat_message
    WHERE conversation_id = ? AND from_user_id = ? AND client_message_id = ?
"""  # noqa: S608  (constants)
_DELIVER = """
    INSERT INTO chat_cursor (user_id, conversation_id, delivered_seq, read_seq)
    VALUES (?, ?, ?, 0)
    ON CONFLICT (user_id, conversation_id) DO UPDATE SET delivered_seq = excluded.delivered_seq
    WHERE delivered_seq < excluded.delivered_seq
"""
_MOVE_DELIVERED_ACTIVITY = """
    INSERT INTO chat_user (user_id, delivered_activity) VALUES (?, ?)
    ON CONFLICT (user_id) DO UPDATE SET delivered_activity = excluded.delivered_activity
    WHERE delivered_activity < excluded.delivered_activity
"""
_READ = """
    INSERT INTO chat_cursor (user_id, conversation_id, delivered_seq, read_seq)
    VALUES (?, ?, 0, ?)
    ON CONFLICT (user_id, conversation_id) DO UPDATE SET read_seq = excluded.read_seq
    WHERE read_seq < excluded.read_seq
"""
_FIND_DELIVERED = "SELECT delivered_seq FROM chat_cursor WHERE user_id = ? AND conversation_id = ?"
_FIND_READ = "SELECT read_seq FROM chat_cursor WHERE user_id = ? AND conversation_id = ?"
_JOIN = """
    INSERT INTO chat_member (room_id, user_id, joined_at, activity) VALUES (?, ?, ?, ?)
    ON CONFLICT (room_id, user_id) DO NOTHING
"""
_STORE_SENT = "UPDATE chat_member SET sent_seq = ? WHERE room_id = ? AND user_id = ?"
_REMOVE_QUEUED = "DELETE FROM chat_outbox WHERE message_id = ?"
_LEAVE = "DELETE FROM chat_member WHERE room_id = ? AND user_id = ?"
_INCREMENT_MEMBER_COUNT = """
    UPDATE chat_conversation SET member_count = member_count + 1 WHERE conversation_id = ?
"""
_DECREMENT_MEMBER_COUNT = (
    "UPDATE chat_conversation SET member_count = member_count - 1 WHERE room_id = ?"
)
_STORE_CONVERSATION = """
    UPDATE chat_conversation
    SET last_seq = ?, last_seq_to_first = ?, last_seq_to_second = ?, activity = ?
    WHERE conversation_id = ?
"""
