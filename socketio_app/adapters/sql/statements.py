"""Statements that all databases share.

None of them runs for each message; each database has its own statements for that.
"""

from typing import Any

from sqlalchemy import Select, select

from socketio_app.adapters.sql.message_columns import MESSAGE_COLUMNS
from socketio_app.adapters.sql.schema import conversations, members, messages


def page(
    conversation_id: int, limit: int, before_seq: int | None, after_seq: int | None
) -> Select[Any]:
    """Select up to `limit` messages of a conversation.

    These are the oldest after `after_seq`, or else the newest before `before_seq`, if given.
    """
    statement = select(*MESSAGE_COLUMNS).where(messages.c.conversation_id == conversation_id)
    if after_seq is not None:
        statement = statement.where(messages.c.seq > after_seq).order_by(messages.c.seq)
    else:
        statement = statement.order_by(messages.c.seq.desc())
        if before_seq is not None:
            statement = statement.where(messages.c.seq < before_seq)
    return statement.limit(limit)


def all_memberships() -> Select[Any]:
    """Select every membership, in the order of joining."""
    return select(members.c.room_id, members.c.user_id).order_by(members.c.membership_id)


def conversation_at(
    room_id: bytes | None, first: bytes | None, second: bytes | None
) -> Select[Any]:
    """Select a conversation's id, and the `seq` of its newest message."""
    id_and_last_seq = select(conversations.c.conversation_id, conversations.c.last_seq)
    if room_id is not None:
        return id_and_last_seq.where(conversations.c.room_id == room_id)
    return id_and_last_seq.where(
        conversations.c.first_user_id == first, conversations.c.second_user_id == second
    )
