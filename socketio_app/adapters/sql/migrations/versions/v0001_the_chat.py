"""The chat's first tables, and the incarnation's name."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    store = op.create_table(
        "chat_store",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("epoch", sa.String(32), nullable=False),
    )
    op.bulk_insert(store, [{"id": 1, "epoch": uuid4().hex}])
    op.create_table(
        "chat_conversation",
        sa.Column("conversation_id", _id, primary_key=True, autoincrement=True),
        sa.Column("room_id", sa.LargeBinary),
        sa.Column("first_user_id", sa.LargeBinary),
        sa.Column("second_user_id", sa.LargeBinary),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("last_seq_to_first", sa.BigInteger, nullable=False),
        sa.Column("last_seq_to_second", sa.BigInteger, nullable=False),
        sa.Column("activity", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("room_id"),
        sa.UniqueConstraint("first_user_id", "second_user_id"),
    )
    op.create_index("chat_conversation_second", "chat_conversation", ["second_user_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE chat_activity")
    op.create_table(
        "chat_message",
        sa.Column(
            "conversation_id",
            _id,
            sa.ForeignKey("chat_conversation.conversation_id"),
            primary_key=True,
        ),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("from_user_id", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("client_message_id", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    has_client_message_id = sa.text("client_message_id IS NOT NULL")
    op.create_index(
        "chat_message_retry",
        "chat_message",
        ["conversation_id", "from_user_id", "client_message_id"],
        unique=True,
        sqlite_where=has_client_message_id,
        postgresql_where=has_client_message_id,
    )
    op.create_table(
        "chat_member",
        sa.Column("membership_id", _id, primary_key=True, autoincrement=True),
        sa.Column("room_id", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.LargeBinary, nullable=False),
        sa.Column("joined_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("room_id", "user_id"),
    )
    op.create_index("chat_member_user", "chat_member", ["user_id", "membership_id"])
    op.create_table(
        "chat_cursor",
        sa.Column("user_id", sa.LargeBinary, primary_key=True),
        sa.Column(
            "conversation_id",
            _id,
            sa.ForeignKey("chat_conversation.conversation_id"),
            primary_key=True,
        ),
        sa.Column("delivered_seq", sa.BigInteger, nullable=False),
        sa.Column("read_seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
