"""Conversion between drafts and rows of the outbox."""

from collections.abc import Sequence
from typing import Any, Final

from socketio_app.adapters.sql.schema import outbox
from socketio_app.adapters.sql.times import milliseconds, moment
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import ClientMessageId, MessageId, RoomId, UserId
from socketio_app.domain.messaging import Draft

OUTBOX_COLUMN_NAMES: Final = ", ".join(column.name for column in outbox.c)
"""Names of the columns, for statements in SQL."""


def outbox_row(draft: Draft) -> tuple[Any, ...]:
    """Return the row of a draft with a `client_message_id`."""
    conversation, recipient = draft.conversation, draft.to_user_id
    assert draft.client_message_id is not None  # noqa: S101  (the port requires one)
    return (
        draft.message_id,
        conversation.room_id.encode() if isinstance(conversation, Room) else None,
        None if recipient is None else recipient.encode(),
        draft.from_user_id.encode(),
        draft.content.encode(),
        milliseconds(draft.created_at),
        draft.client_message_id.encode(),
    )


def draft_in(row: Sequence[Any]) -> Draft:
    """Return the draft in a row."""
    message_id, room_id, to_user_id, from_user_id, content, created_at, client_message_id = row
    sender = UserId(from_user_id.decode())
    recipient = None if to_user_id is None else UserId(to_user_id.decode())
    conversation: Conversation = (
        Room(RoomId(room_id.decode())) if recipient is None else Pair.of(sender, recipient)
    )
    return Draft(
        MessageId(message_id),
        conversation,
        sender,
        recipient,
        content.decode(),
        moment(created_at),
        ClientMessageId(client_message_id.decode()),
    )
