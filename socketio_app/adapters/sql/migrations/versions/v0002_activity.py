"""Activity of messages and memberships, indexes by activity, and stored member counts.

Adds columns and indexes without rewriting tables; replaces one index by a wider one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns and indexes, and fill them from messages and memberships."""
    for table, column in (
        ("chat_store", "activity"),
        ("chat_message", "activity"),
        ("chat_member", "activity"),
        ("chat_member", "sent_seq"),
        ("chat_conversation", "member_count"),
    ):
        op.add_column(
            table, sa.Column(column, sa.BigInteger, nullable=False, server_default=sa.text("0"))
        )
    op.execute(_COUNT_MEMBERS)
    for statement in _NOTE_SENT:
        op.execute(statement)
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
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_APPEND)


_COUNT_MEMBERS = """
    UPDATE chat_conversation
    SET member_count = (
        SELECT count(*) FROM chat_member WHERE chat_member.room_id = chat_conversation.room_id
    )
    WHERE room_id IS NOT NULL
"""

# An intermediate table: not every version of SQLite supports UPDATE FROM.
_NOTE_SENT = (
    """
    CREATE TABLE chat_sent AS
    SELECT room_id, from_user_id AS user_id, max(seq) AS seq
    FROM chat_message JOIN chat_conversation USING (conversation_id)
    WHERE room_id IS NOT NULL
    GROUP BY room_id, from_user_id
    """,
    "CREATE UNIQUE INDEX chat_sent_by ON chat_sent (room_id, user_id)",
    """
    UPDATE chat_member
    SET sent_seq = coalesce(
        (
            SELECT seq FROM chat_sent
            WHERE chat_sent.room_id = chat_member.room_id
                AND chat_sent.user_id = chat_member.user_id
        ), 0
    )
    """,
    "DROP TABLE chat_sent",
)

# Extends the function of schema 0001: also stores the activity of each message, and the `seq` of
# each room member's newest message. Activities are drawn while the locks are held, and so after the
# transaction got its id; adapters/sql/postgres/activity.py depends on that.
_APPEND = """
    CREATE OR REPLACE FUNCTION chat_append(
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
                conversation_ids, room_ids, message_ids, senders, contents, times,
                client_message_ids, are_to_first, are_to_second
            ) WITH ORDINALITY AS draft (
                conversation_id, room_id, message_id, from_user_id, content, created_at,
                client_message_id, to_first, to_second, position
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
        ), numbered AS (
            SELECT placed.*, nextval('chat_activity') AS activity
            FROM (SELECT * FROM placed ORDER BY position) placed
        ), stored AS (
            INSERT INTO chat_message (
                conversation_id, seq, message_id, from_user_id, content, created_at,
                client_message_id, activity
            )
            SELECT conversation_id, seq, message_id, from_user_id, content, created_at,
                client_message_id, activity
            FROM numbered
        ), sent AS (
            UPDATE chat_member SET sent_seq = last.seq
            FROM (
                SELECT room_id, from_user_id, max(seq) AS seq FROM placed
                WHERE room_id IS NOT NULL GROUP BY room_id, from_user_id
            ) last
            WHERE chat_member.room_id = last.room_id AND user_id = last.from_user_id
        ), moved AS (
            UPDATE chat_conversation conversation
            SET last_seq = newest.seq,
                last_seq_to_first = coalesce(newest.seq_to_first, last_seq_to_first),
                last_seq_to_second = coalesce(newest.seq_to_second, last_seq_to_second),
                activity = newest.activity
            FROM (
                SELECT conversation_id, max(seq) AS seq, max(activity) AS activity,
                    max(seq) FILTER (WHERE to_first) AS seq_to_first,
                    max(seq) FILTER (WHERE to_second) AS seq_to_second
                FROM numbered GROUP BY conversation_id
            ) newest
            WHERE conversation.conversation_id = newest.conversation_id
        )
        SELECT position - 1, placed.seq FROM draft LEFT JOIN placed USING (position);
    END
    $$
"""
