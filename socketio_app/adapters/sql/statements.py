"""The statements that every database shares, on the one set of tables.

None of them is asked for each message; those are each database's own.
"""

from typing import Any

from sqlalchemy import Select, select

from socketio_app.adapters.sql.schema import conversations, members, messages

MESSAGE = (
    messages.c.seq,
    messages.c.message_id,
    messages.c.from_user_id,
    messages.c.content,
    messages.c.created_at,
    messages.c.client_message_id,
)


def page(
    conversation_id: int, limit: int, before_seq: int | None, after_seq: int | None
) -> Select[Any]:
    """The messages between two places, from the end that is given; at most `limit`."""
    of_it = select(*MESSAGE).where(messages.c.conversation_id == conversation_id)
    if after_seq is not None:
        of_it = of_it.where(messages.c.seq > after_seq).order_by(messages.c.seq)
    else:
        of_it = of_it.order_by(messages.c.seq.desc())
        if before_seq is not None:
            of_it = of_it.where(messages.c.seq < before_seq)
    return of_it.limit(limit)


def all_memberships() -> Select[Any]:
    """Every membership, in the order of joining."""
    return select(members.c.room_id, members.c.user_id).order_by(members.c.membership_id)


def conversation_at(
    room_id: bytes | None, first: bytes | None, second: bytes | None
) -> Select[Any]:
    """A conversation's number, and the place of its newest message."""
    number_and_place = select(conversations.c.conversation_id, conversations.c.last_seq)
    if room_id is not None:
        return number_and_place.where(conversations.c.room_id == room_id)
    return number_and_place.where(
        conversations.c.first_user_id == first, conversations.c.second_user_id == second
    )
