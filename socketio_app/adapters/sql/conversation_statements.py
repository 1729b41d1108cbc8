"""Statements about a user's conversations, shared by all databases.

Each reads the newest of the user's pairs from the two indexes by activity, and the user's rooms,
which `rooms_per_user` bounds. The cost therefore depends on `limit`, not on the number of pairs.
"""

from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    LargeBinary,
    Select,
    Subquery,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from socketio_app.adapters.sql.message_columns import MESSAGE_COLUMNS
from socketio_app.adapters.sql.schema import conversations, cursors, members, messages


def states(user_id: bytes, limit: int, before_activity: int | None) -> Select[Any]:
    """Select a user's pairs and rooms, newest activity first.

    The columns are the conversation's key and those of a `ConversationState`.
    """
    page = _page(user_id, limit, before_activity)
    source, columns = _state_columns(page, user_id)
    return select(*columns).select_from(source).order_by(page.c.activity.desc())


def states_with_messages(user_id: bytes, limit: int, before_activity: int | None) -> Select[Any]:
    """Select the same as `states`, each with its newest message, in one snapshot."""
    page = _page(user_id, limit, before_activity)
    source, columns = _state_columns(page, user_id)
    newest = and_(
        messages.c.conversation_id == page.c.conversation_id, messages.c.seq == page.c.last_seq
    )
    return (
        select(*columns, *MESSAGE_COLUMNS)
        .select_from(source.outerjoin(messages, newest))
        .order_by(page.c.activity.desc())
    )


def _page(user_id: bytes, limit: int, before_activity: int | None) -> Subquery:
    # A conversation without activity is being created, or its first message could not be stored.
    condition = conversations.c.activity > 0
    if before_activity is not None:
        condition = and_(condition, conversations.c.activity < before_activity)
    newest = conversations.c.activity.desc()
    parts = [
        each.where(condition).order_by(newest).limit(limit).subquery(name)
        for name, each in _of_user(user_id).items()
    ]
    theirs = union_all(*map(select, parts)).subquery("theirs")
    return select(theirs).order_by(theirs.c.activity.desc()).limit(limit).subquery("page")


def changes(user_id: bytes, since: int, given: int, limit: int) -> Select[Any]:
    """Select a user's pairs and rooms with activity after `given`, in ascending order.

    The columns are those of `states`, followed by those of a `Change`.
    """
    parts = []
    for name, each in _of_user(user_id).items():
        activity: ColumnElement[Any] = conversations.c.activity
        joined: ColumnElement[Any] = literal(0, BigInteger)
        if name == "in_rooms":
            joined = members.c.activity
            activity = case((joined > activity, joined), else_=activity)
        changed = each.add_columns(
            activity.label("newest_activity"), joined.label("joined_activity")
        )
        changed = changed.where(activity > given).order_by(activity).limit(limit)
        parts.append(changed.subquery(name))
    theirs = union_all(*map(select, parts)).subquery("theirs")
    page = select(theirs).order_by(theirs.c.newest_activity).limit(limit).subquery("page")
    source, columns = _state_columns(page, user_id)
    return (
        select(*columns, page.c.newest_activity, page.c.joined_activity > since)
        .select_from(source)
        .order_by(page.c.newest_activity)
    )


def _of_user(user_id: bytes) -> dict[str, Select[Any]]:
    """Select a user's pairs as first user, as second user, and the user's rooms."""
    as_first = select(
        conversations,
        conversations.c.second_user_id.label("other_user_id"),
        conversations.c.last_seq_to_second.label("sent_seq"),
    ).where(conversations.c.first_user_id == user_id)
    as_second = select(
        conversations,
        conversations.c.first_user_id.label("other_user_id"),
        conversations.c.last_seq_to_first.label("sent_seq"),
    ).where(
        conversations.c.second_user_id == user_id,
        conversations.c.first_user_id != user_id,  # a pair with oneself is already in `as_first`
    )
    in_rooms = (
        select(conversations, cast(null(), LargeBinary).label("other_user_id"), members.c.sent_seq)
        .join(members, members.c.room_id == conversations.c.room_id)
        .where(members.c.user_id == user_id)
    )
    return {"as_first": as_first, "as_second": as_second, "in_rooms": in_rooms}


class _StateColumns(NamedTuple):
    source: FromClause
    columns: tuple[ColumnElement[Any], ...]


def _state_columns(page: Subquery, user_id: bytes) -> _StateColumns:
    """Return the columns of a `ConversationState`, and the tables to select them from."""
    read, delivered = cursors.alias("read"), cursors.alias("delivered")
    reading = and_(read.c.conversation_id == page.c.conversation_id, read.c.user_id == user_id)
    delivery = and_(
        delivered.c.conversation_id == page.c.conversation_id,
        delivered.c.user_id == page.c.other_user_id,
    )
    delivered_seq = case(
        (page.c.room_id.is_not(None), page.c.last_seq),
        else_=func.coalesce(delivered.c.delivered_seq, 0),
    )
    read_seq = func.coalesce(read.c.read_seq, 0)
    columns: tuple[ColumnElement[Any], ...] = (
        page.c.room_id,
        page.c.first_user_id,
        page.c.second_user_id,
        page.c.last_seq,
        page.c.activity,
        delivered_seq,
        case((page.c.sent_seq > read_seq, page.c.sent_seq), else_=read_seq),
    )
    return _StateColumns(page.outerjoin(read, reading).outerjoin(delivered, delivery), columns)
