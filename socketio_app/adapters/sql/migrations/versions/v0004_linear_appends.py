"""Appending a batch takes time in proportion to its size.

The function compared each message of a batch with every other one to return their places.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Replace the function, which only PostgreSQL has. Its parameters remain."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_CHAT_APPEND)


_CHAT_APPEND = """
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
        ), found AS (
            SELECT draft.*, conversation.last_seq, EXISTS (
                SELECT FROM chat_message stored
                WHERE stored.conversation_id = draft.conversation_id
                  AND stored.from_user_id = draft.from_user_id
                  AND stored.client_message_id = draft.client_message_id
            ) AS is_retry
            FROM draft JOIN chat_conversation conversation USING (conversation_id)
        ), placed AS (
            SELECT found.*, last_seq + row_number() OVER (
                PARTITION BY conversation_id ORDER BY position
            ) AS seq
            FROM found WHERE NOT is_retry
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
        SELECT position - 1, seq FROM placed
        UNION ALL SELECT position - 1, NULL FROM found WHERE is_retry;
    END
    $$
"""
