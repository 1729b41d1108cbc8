"""The tables, the same on every database.

There are no foreign keys: nothing is ever deleted that another row names, and to look the
conversation up for each message would cost as much again as storing it.

All are called `chat_...`, so that they can live in the host application's database. Times are
milliseconds since 1970, UTC. Texts that come from people are kept as UTF-8 bytes, because a text in
PostgreSQL cannot hold the character U+0000, which a message may.
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

metadata = MetaData()


# SQLite counts up by itself only in a column that is exactly INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

store = Table(
    "chat_store",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", String(32), nullable=False),
    # SQLite only; PostgreSQL has a sequence. Joins draw numbers that no conversation stores.
    Column("activity", BigInteger, nullable=False, server_default="0"),
)
"""One row, whose `id` is 1: this incarnation, and the highest activity drawn by a join."""

conversations = Table(
    "chat_conversation",
    metadata,
    Column("conversation_id", _Id, primary_key=True, autoincrement=True),
    Column("room_id", LargeBinary),
    Column("first_user_id", LargeBinary),
    Column("second_user_id", LargeBinary),
    Column("last_seq", BigInteger, nullable=False),
    # The newest message to each of a pair: what says at a glance that something waits for them.
    Column("last_seq_to_first", BigInteger, nullable=False),
    Column("last_seq_to_second", BigInteger, nullable=False),
    # Rises with every message of the store: two of one millisecond would have the same time.
    Column("activity", BigInteger, nullable=False),
    # Maintained by joins and leaves: to count the members would cost as much as there are.
    Column("member_count", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("room_id"),
    UniqueConstraint("first_user_id", "second_user_id"),
)
"""A room's has `room_id`, a pair's has the two users, the lesser id first."""

# Each user's pairs in the order of their activity: a list, or what is new, is read without looking
# at the others. Rooms are found through `chat_member`; one user's are few.
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

# On SQLite its rows lie in the order of their coming, and not by conversation: a transaction of
# messages in as many conversations then writes half as many pages.
messages = Table(
    "chat_message",
    metadata,
    Column("conversation_id", _Id, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", String(36), nullable=False),
    Column("from_user_id", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("client_message_id", LargeBinary),
    # The number that the message drew for its conversation; 0 before schema 0002.
    Column("activity", BigInteger, nullable=False, server_default="0"),
)

# What makes a retry find the first message: no look-up could, while both are on their way.
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
    # Drawn by the join; 0 before schema 0002.
    Column("activity", BigInteger, nullable=False, server_default="0"),
    # The member's newest message in the room: nothing up to there is unread.
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
"""How far each person is in each conversation. Both move forward only."""

users = Table(
    "chat_user",
    metadata,
    Column("user_id", LargeBinary, primary_key=True),
    Column("delivered_activity", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Up to which activity nothing is undelivered to a user. Written now and then, by reads."""
