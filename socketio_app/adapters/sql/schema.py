"""The tables, the same on every database.

There are no foreign keys: a row that is referenced is never deleted, and looking up the
conversation of each message would cost as much as storing it.

The table names begin with `chat_`, so that the tables can share the host application's database.
Times are milliseconds since 1970, UTC. Text from clients is stored as UTF-8 bytes, because a text
column in PostgreSQL cannot hold the character U+0000, which a message may.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from socketio_app.adapters.sql.message_columns import MESSAGE_COLUMNS

metadata = MetaData()


# SQLite increments a primary key automatically only if its type is exactly INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

store = Table(
    "chat_store",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", String(32), nullable=False),
    # SQLite only; PostgreSQL has a sequence. Joins draw activities that no conversation stores.
    Column("activity", BigInteger, nullable=False, server_default="0"),
)
"""One row, whose `id` is 1: the epoch, and the highest activity drawn by a join."""

conversations = Table(
    "chat_conversation",
    metadata,
    Column("conversation_id", _Id, primary_key=True, autoincrement=True),
    Column("room_id", LargeBinary),
    Column("first_user_id", LargeBinary),
    Column("second_user_id", LargeBinary),
    Column("last_seq", BigInteger, nullable=False),
    # `seq` of the newest message to each user of a pair; shows whether any are undelivered.
    Column("last_seq_to_first", BigInteger, nullable=False),
    Column("last_seq_to_second", BigInteger, nullable=False),
    # Increases with every message of the store; times of two messages may be the same.
    Column("activity", BigInteger, nullable=False),
    # Maintained by joins and leaves: counting would read every member.
    Column("member_count", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("room_id"),
    UniqueConstraint("first_user_id", "second_user_id"),
)
"""A room has a `room_id`; a pair has two user ids, the lesser first."""

# Each user's pairs in the order of activity: a page of conversations, or the changed ones, are read
# without reading the others. Rooms are found through `chat_member`; a user has few.
for _name, _user_id in (
    ("chat_conversation_of_first", conversations.c.first_user_id),
    ("chat_conversation_of_second", conversations.c.second_user_id),
):
    Index(
        _name,
        _user_id,
        conversations.c.activity,
        sqlite_where=_user_id.is_not(None),
        postgresql_where=_user_id.is_not(None),
    )

# On SQLite the rows are in the order of insertion, not by conversation: a transaction with messages
# in as many conversations then writes half as many pages.
messages = Table(
    "chat_message",
    metadata,
    Column("conversation_id", _Id, primary_key=True, autoincrement=False),
    *MESSAGE_COLUMNS,
    # The activity that the message drew; 0 before schema 0002.
    Column("activity", BigInteger, nullable=False, server_default="0"),
)

# Makes a retry conflict with the first message: a query could not find it while both are pending.
_has_client_message_id = messages.c.client_message_id.is_not(None)
Index(
    "chat_message_retry",
    messages.c.conversation_id,
    messages.c.from_user_id,
    messages.c.client_message_id,
    unique=True,
    sqlite_where=_has_client_message_id,
    postgresql_where=_has_client_message_id,
)

members = Table(
    "chat_member",
    metadata,
    Column("membership_id", _Id, primary_key=True, autoincrement=True),
    Column("room_id", LargeBinary, nullable=False),
    Column("user_id", LargeBinary, nullable=False),
    Column("joined_at", BigInteger, nullable=False),
    # The activity that the join drew; 0 before schema 0002.
    Column("activity", BigInteger, nullable=False, server_default="0"),
    # `seq` of the member's newest message in the room: nothing up to it is unread.
    Column("sent_seq", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("room_id", "user_id"),
    Index("chat_member_user", "user_id", "membership_id"),
)

cursors = Table(
    "chat_cursor",
    metadata,
    Column("user_id", LargeBinary, primary_key=True),
    Column("conversation_id", _Id, primary_key=True, autoincrement=False),
    Column("delivered_seq", BigInteger, nullable=False),
    Column("read_seq", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Delivery and read cursors of each user in each conversation. They only move forward."""

users = Table(
    "chat_user",
    metadata,
    Column("user_id", LargeBinary, primary_key=True),
    Column("delivered_activity", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The activity up to which nothing is undelivered to a user. Written occasionally, by reads."""

outbox = Table(
    "chat_outbox",
    metadata,
    Column("message_id", String(36), primary_key=True),
    Column("room_id", LargeBinary),
    Column("to_user_id", LargeBinary),
    Column("from_user_id", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("client_message_id", LargeBinary, nullable=False),
    Index("chat_outbox_retry", "from_user_id", "client_message_id"),
)
"""Messages in transactions of the host application, and committed ones until they are appended to
their conversations. A message has a room or a recipient. Nothing is unique but the id: otherwise,
transactions of the host would wait for one another."""
