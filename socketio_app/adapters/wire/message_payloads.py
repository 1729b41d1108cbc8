"""Payloads of messages and of their deliveries: structs, which are encoded faster than objects."""

import msgspec

from socketio_app.adapters.wire.times import time
from socketio_app.application.events import MessageDelivered, MessageSent
from socketio_app.domain.conversations import Room
from socketio_app.domain.messaging import Message


class PersonalMessage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A personal message."""

    message_id: str
    seq: int
    from_user_id: str
    to_user_id: str
    content: str
    created_at: str
    client_message_id: str | None = None


class GroupMessage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A message to a room."""

    message_id: str
    seq: int
    from_user_id: str
    room_id: str
    content: str
    created_at: str
    client_message_id: str | None = None


class PersonalDelivery(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The delivery of a personal message."""

    message_id: str
    seq: int
    delivered_at: str
    to_user_id: str
    client_message_id: str | None = None


class GroupDelivery(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The delivery of a message to a room."""

    message_id: str
    seq: int
    delivered_at: str
    room_id: str
    client_message_id: str | None = None


MessagePayload = PersonalMessage | GroupMessage
DeliveryPayload = PersonalDelivery | GroupDelivery


def message_payload(message: Message) -> MessagePayload:
    """Return the payload of a message."""
    conversation, sender, created_at = (
        message.conversation,
        message.from_user_id,
        time(message.created_at),
    )
    if isinstance(conversation, Room):
        return GroupMessage(
            message.message_id,
            message.seq,
            sender,
            conversation.room_id,
            message.content,
            created_at,
            message.client_message_id,
        )
    return PersonalMessage(
        message.message_id,
        message.seq,
        sender,
        conversation.other(sender),
        message.content,
        created_at,
        message.client_message_id,
    )


def sent(event: MessageSent) -> tuple[str, MessagePayload]:
    """Return the name and the payload of the event of a message."""
    message = event.message
    is_in_room = message.to_user_id is None
    name = "receive_group_message" if is_in_room else "receive_personal_message"
    return name, message_payload(message)


def delivered(event: MessageDelivered) -> tuple[str, DeliveryPayload]:
    """Return the name and the payload of the event of a delivery."""
    message, delivered_at = event.message, time(event.delivered_at)
    conversation = message.conversation
    if isinstance(conversation, Room):
        return "group_message_delivered", GroupDelivery(
            message.message_id,
            message.seq,
            delivered_at,
            conversation.room_id,
            message.client_message_id,
        )
    return "personal_message_delivered", PersonalDelivery(
        message.message_id,
        message.seq,
        delivered_at,
        conversation.other(message.from_user_id),
        message.client_message_id,
    )
