"""The columns of a message, in one place: their types, and their values as a row.

Tables, statements, appends and reads follow from this module on every database. A migration adds a
column, and gives the PostgreSQL function `chat_append` a parameter for it.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Column, LargeBinary, String

from socketio_app.adapters.sql.times import milliseconds, moment
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.identifiers import ClientMessageId, MessageId, UserId
from socketio_app.domain.messaging import Draft, Message

MESSAGE_COLUMNS: Final[Sequence[Column[Any]]] = (
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", String(36), nullable=False),
    Column("from_user_id", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("client_message_id", LargeBinary),
)
"""The columns of a row, in order."""

MESSAGE_COLUMN_NAMES: Final = ", ".join(column.name for column in MESSAGE_COLUMNS)
"""Names of the columns, for statements in SQL."""

MessageRow = tuple[int, str, bytes, bytes, int, bytes | None]
"""The values of `MESSAGE_COLUMNS`."""


def message_row(draft: Draft, seq: int) -> MessageRow:
    """Return the row of a message, without its conversation."""
    client_message_id = draft.client_message_id
    return (
        seq,
        draft.message_id,
        draft.from_user_id.encode(),
        draft.content.encode(),
        milliseconds(draft.created_at),
        None if client_message_id is None else client_message_id.encode(),
    )


def message_of(conversation: Conversation, row: MessageRow) -> Message:
    """Return the message in a row."""
    seq, message_id, from_user_id, content, created_at, client_message_id = row
    sender = UserId(from_user_id.decode())
    return Message(
        MessageId(message_id),
        conversation,
        seq,
        sender,
        conversation.recipient(sender),
        content.decode(),
        moment(created_at),
        None if client_message_id is None else ClientMessageId(client_message_id.decode()),
    )
