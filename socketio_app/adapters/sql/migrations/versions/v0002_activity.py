"""Activity of messages and memberships, indexes by activity, and maintained member counts.

Columns and indexes are added and nothing is rewritten; one index is replaced by a wider one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add them, and fill in what the messages and memberships say."""
    for table, column in (
        ("chat_store", "activity"),
        ("chat_message", "activity"),
        ("chat_member", "activity"),
        ("chat_conversation", "member_count"),
    ):
        op.add_column(
            table, sa.Column(column, sa.BigInteger, nullable=False, server_default=sa.text("0"))
        )
    op.execute(_COUNT_MEMBERS)
    for name, column in (
        ("chat_conversation_of_first", "first_user_id"),
        ("chat_conversation_of_second", "second_user_id"),
    ):
        is_pair = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            name,
            "chat_conversation",
            [column, "activity"],
            sqlite_where=is_pair,
            postgresql_where=is_pair,
        )
    op.drop_index("chat_conversation_second", "chat_conversation")
    op.create_table(
        "chat_user",
        sa.Column("user_id", sa.LargeBinary, primary_key=True),
        sa.Column("delivered_activity", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


_COUNT_MEMBERS = """
    UPDATE chat_conversation
    SET member_count = (
        SELECT count(*) FROM chat_member WHERE chat_member.room_id = chat_conversation.room_id
    )
    WHERE room_id IS NOT NULL
"""
