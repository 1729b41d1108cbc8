"""Fills a store with a million messages, past its ports: through them it would take minutes.

One user, Ada, is in all conversations: in as many rooms as a user may be in by default, or a tenth
of the conversations where that is less, and in pairs. All messages are from others, delivered, and
unread.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncpg
import attrs

from socketio_app.adapters.sql.times import milliseconds
from socketio_app.adapters.system import SystemClock, new_message_id
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import RoomId, UserId

ADA = UserId("ada")
MAX_ROOMS = 1000
CONTENT = b"x" * 80

_NOW = milliseconds(SystemClock().now())

Row = tuple[object, ...]

COLUMNS = {
    "chat_conversation": (
        *("conversation_id", "room_id", "first_user_id", "second_user_id", "last_seq"),
        *("last_seq_to_first", "last_seq_to_second", "activity", "member_count"),
    ),
    "chat_member": ("room_id", "user_id", "joined_at", "activity"),
    "chat_cursor": ("user_id", "conversation_id", "delivered_seq", "read_seq"),
    "chat_message": (
        *("conversation_id", "seq", "message_id", "from_user_id", "content", "created_at"),
        "activity",
    ),
}


@attrs.frozen
class Size:
    """How much is in a store."""

    conversations: int
    messages: int
    max_rooms: int = MAX_ROOMS

    @property
    def rooms(self) -> int:
        """How many of the conversations are rooms."""
        return min(self.max_rooms, self.conversations // 10)

    @property
    def messages_each(self) -> int:
        """How many messages each conversation has."""
        return self.messages // self.conversations

    def conversation(self, number: int) -> Conversation:
        """Return a conversation by its number, from 1."""
        if number <= self.rooms:
            return Room(RoomId(f"room{number}"))
        return Pair.of(ADA, self.other(number))

    def other(self, number: int) -> UserId:
        """Return who is in a conversation with Ada."""
        return UserId(f"user{number}")

    @property
    def last_activity(self) -> int:
        """The activity of the newest message. Joins come before the first message."""
        return self.messages_each * self.conversations + 2 * self.rooms

    def rows(self, table: str) -> Iterator[Row]:
        """Return what a table holds."""
        return {
            "chat_conversation": self._conversations,
            "chat_member": self._members,
            "chat_cursor": self._cursors,
            "chat_message": self._messages,
        }[table]()

    def _activity(self, number: int, seq: int) -> int:
        # Messages go to each conversation in turn.
        return 2 * self.rooms + (seq - 1) * self.conversations + number

    def _conversations(self) -> Iterator[Row]:
        last_seq = self.messages_each
        for number in range(1, self.conversations + 1):
            activity = self._activity(number, last_seq)
            if number <= self.rooms:
                room_id = f"room{number}".encode()
                yield number, room_id, None, None, last_seq, 0, 0, activity, 2
            else:
                users = ADA.encode(), self.other(number).encode()
                yield number, None, *users, last_seq, last_seq, 0, activity, 0

    def _members(self) -> Iterator[Row]:
        for number in range(1, self.rooms + 1):
            for at, user in enumerate((ADA, self.other(number))):
                yield f"room{number}".encode(), user.encode(), _NOW, 2 * number - at

    def _cursors(self) -> Iterator[Row]:
        for number in range(self.rooms + 1, self.conversations + 1):
            yield ADA.encode(), number, self.messages_each, 0

    def _messages(self) -> Iterator[Row]:
        for seq in range(1, self.messages_each + 1):
            for number in range(1, self.conversations + 1):
                sender, activity = self.other(number).encode(), self._activity(number, seq)
                yield number, seq, new_message_id(), sender, CONTENT, _NOW, activity


def fill_sqlite(path: Path, size: Size) -> None:
    """Fill the tables of a file that has been made by a store."""
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for table, columns in COLUMNS.items():
            places = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608  (constants)
            connection.executemany(insert, size.rows(table))
        connection.execute("UPDATE chat_store SET activity = ?", (size.last_activity,))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def fill_postgres(url: str, size: Size) -> None:
    """Fill the tables of a database that has been migrated."""
    connection = await asyncpg.connect(url)
    for table, columns in COLUMNS.items():
        await connection.copy_records_to_table(table, records=size.rows(table), columns=columns)
    await connection.execute("SELECT setval('chat_activity', $1)", size.last_activity)
    await connection.execute(
        "SELECT setval('chat_conversation_conversation_id_seq', $1)", size.conversations
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


FORGET_DELIVERIES: Sequence[str] = ("DELETE FROM chat_cursor", "DELETE FROM chat_user")
"""Statements after which every personal message waits for Ada."""
