"""The first tables of the chat, and the epoch."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
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
    op.create_table(
        "chat_message",
        sa.Column("conversation_id", _id, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("from_user_id", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("client_message_id", sa.LargeBinary),
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
        sa.Column("conversation_id", _id, primary_key=True, autoincrement=False),
        sa.Column("delivered_seq", sa.BigInteger, nullable=False),
        sa.Column("read_seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE chat_activity")
        op.execute(_APPEND)


# The last statement's snapshot must be taken while the locks of the first are held; see
# adapters/sql/postgres/append.py.
_APPEND = """
    CREATE FUNCTION chat_append(
        conversation_ids bigint[], room_ids bytea[], first_user_ids bytea[],
        second_user_ids bytea[], message_ids text[], senders bytea[], contents bytea[],
        times bigint[], client_message_ids bytea[], are_to_first boolean[], are_to_second boolean[]
    ) RETURNS TABLE (place_in_batch bigint, seq bigint) LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    BEGIN
        PERFORM FROM chat_conversation WHERE conversation_id = ANY(conversation_ids)
        ORDER BY conversation_id FOR NO KEY UPDATE;

        -- Where a number is not its conversation's any more, nothing is stored or returned.
        IF EXISTS (
            SELECT FROM unnest(conversation_ids, room_ids, first_user_ids, second_user_ids)
                AS given (conversation_id, room_id, first_user_id, second_user_id)
            LEFT JOIN chat_conversation conversation USING (conversation_id)
            WHERE conversation.conversation_id IS NULL
               OR conversation.room_id IS DISTINCT FROM given.room_id
               OR conversation.first_user_id IS DISTINCT FROM given.first_user_id
               OR conversation.second_user_id IS DISTINCT FROM given.second_user_id
        ) THEN
            RETURN;
        END IF;

        RETURN QUERY WITH draft AS (
            SELECT * FROM unnest(
                conversation_ids, message_ids, senders, contents, times, client_message_ids,
                are_to_first, are_to_second
            ) WITH ORDINALITY AS draft (
                conversation_id, message_id, from_user_id, content, created_at, client_message_id,
                to_first, to_second, position
            )
        ), placed AS (
            SELECT draft.*, conversation.last_seq + row_number() OVER (
                PARTITION BY draft.conversation_id ORDER BY position
            ) AS seq
            FROM draft JOIN chat_conversation conversation USING (conversation_id)
            WHERE NOT EXISTS (
                SELECT FROM chat_message stored
                WHERE stored.conversation_id = draft.conversation_id
                  AND stored.from_user_id = draft.from_user_id
                  AND stored.client_message_id = draft.client_message_id
            )
        ), stored AS (
            INSERT INTO chat_message (
                conversation_id, seq, message_id, from_user_id, content, created_at,
                client_message_id
            )
            SELECT conversation_id, seq, message_id, from_user_id, content, created_at,
                client_message_id
            FROM placed
        ), moved AS (
            UPDATE chat_conversation conversation
            SET last_seq = newest.seq,
                last_seq_to_first = coalesce(newest.seq_to_first, last_seq_to_first),
                last_seq_to_second = coalesce(newest.seq_to_second, last_seq_to_second),
                activity = nextval('chat_activity')
            FROM (
                SELECT conversation_id, max(seq) AS seq,
                    max(seq) FILTER (WHERE to_first) AS seq_to_first,
                    max(seq) FILTER (WHERE to_second) AS seq_to_second
                FROM placed GROUP BY conversation_id ORDER BY max(position)
            ) newest
            WHERE conversation.conversation_id = newest.conversation_id
        )
        SELECT position - 1, placed.seq FROM draft LEFT JOIN placed USING (position);
    END
    $$
"""
