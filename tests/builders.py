"""Builders and constants for test data."""

from datetime import UTC, datetime
from itertools import count

from socketio_app.application.commands import SendMessage
from socketio_app.domain.conversations import Conversation, Pair, Person, Room, Target
from socketio_app.domain.identifiers import ClientMessageId, MessageId, RoomId, UserId
from socketio_app.domain.messaging import Draft

ADA, BOB, EVE = UserId("ada"), UserId("bob"), UserId("eve")
LOBBY, DEN = RoomId("lobby"), RoomId("den")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

_numbers = count(1)


def draft(
    conversation: Conversation | None = None,
    from_user_id: UserId = ADA,
    content: str = "hello",
    client_message_id: str | None = None,
) -> Draft:
    """Return a draft, by default from Ada to Bob."""
    conversation = conversation or Pair.of(ADA, BOB)
    return Draft(
        MessageId(f"message-{next(_numbers)}"),
        conversation,
        from_user_id,
        conversation.recipient(from_user_id),
        content,
        NOON,
        None if client_message_id is None else ClientMessageId(client_message_id),
    )


def personal(
    to_user_id: UserId, content: str = "hello", client_message_id: str | None = None
) -> SendMessage:
    """Return a command that sends a message to a user."""
    return _send(Person(to_user_id), content, client_message_id)


def group(
    room_id: RoomId, content: str = "hello", client_message_id: str | None = None
) -> SendMessage:
    """Return a command that sends a message to a room."""
    return _send(Room(room_id), content, client_message_id)


def _send(target: Target, content: str, client_message_id: str | None) -> SendMessage:
    name = None if client_message_id is None else ClientMessageId(client_message_id)
    return SendMessage(target, content, name)
