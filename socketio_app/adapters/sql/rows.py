"""Conversion between conversations and rows; `message_columns` converts messages."""

from collections.abc import Iterable, Sequence
from typing import Any

from socketio_app.adapters.sql.message_columns import message_of
from socketio_app.domain.activity import Change
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.history import ConversationState, Page, Recent, Window
from socketio_app.domain.identifiers import RoomId, UserId

ConversationKey = tuple[bytes | None, bytes | None, bytes | None]
"""`room_id`, `first_user_id`, `second_user_id`."""

STATE_COLUMNS = 7
"""Number of columns of the statement `states`."""


def key_of(conversation: Conversation) -> ConversationKey:
    """Return the key of a conversation in its table."""
    if isinstance(conversation, Room):
        return conversation.room_id.encode(), None, None
    return None, conversation.first.encode(), conversation.second.encode()


def key_columns(conversations: Iterable[Conversation]) -> list[list[bytes | None]]:
    """Return the keys of conversations, as one list for each column of the key."""
    keys = [key_of(conversation) for conversation in conversations]
    return [[key[column] for key in keys] for column in range(3)]


def conversation_of(key: ConversationKey) -> Conversation:
    """Return the conversation with a key."""
    room_id, first, second = key
    if room_id is not None:
        return Room(RoomId(room_id.decode()))
    assert first is not None  # noqa: S101  (a row has a room or a pair)
    assert second is not None  # noqa: S101
    return Pair(UserId(first.decode()), UserId(second.decode()))


def state_of(row: Sequence[Any]) -> ConversationState:
    """Return the state in a row of the statement `states`."""
    return ConversationState(conversation_of(tuple(row[:3])), *row[3:])


def change_of(row: Sequence[Any]) -> Change:
    """Return the change in a row of the statement `changes`."""
    state, (activity, is_joined) = state_of(row[:STATE_COLUMNS]), row[STATE_COLUMNS:]
    return Change(state, activity, is_joined=bool(is_joined))


def recent_of(row: Sequence[Any]) -> Recent:
    """Return the conversation in a row of the statement `states_with_messages`."""
    state, message = state_of(row[:STATE_COLUMNS]), tuple(row[STATE_COLUMNS:])
    if message[0] is None:
        return Recent(state, None)
    return Recent(state, message_of(state.conversation, message))


def page_of(conversation: Conversation, window: Window, last_seq: int, rows: Sequence[Any]) -> Page:
    """Return the page in the rows of the statement `page`."""
    messages = [message_of(conversation, tuple(row)) for row in rows[: window.limit]]
    if window.after_seq is None:
        messages.reverse()
    newest = max(last_seq, messages[-1].seq) if messages else last_seq
    return Page(messages, len(rows) > window.limit, newest)
