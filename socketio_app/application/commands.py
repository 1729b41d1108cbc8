"""What somebody may ask of the chat, and who asks.

A command names the result that it gets: `SendMessage` is a `Command[Sent]`.
"""

from typing import Generic, TypeVar

import attrs

from socketio_app.domain.conversations import Target
from socketio_app.domain.identifiers import (
    ClientMessageId,
    ConnectionId,
    RoomId,
    UserId,
    check_client_message_id,
    check_room_id,
    check_user_id,
)
from socketio_app.domain.messaging import Message

Result = TypeVar("Result")


@attrs.frozen
class Actor:
    """Who gives a command."""

    user_id: UserId = attrs.field(validator=check_user_id)
    connection_id: ConnectionId | None = None
    """The connection that it came over; `None` when the host application speaks for the user."""


@attrs.frozen
class Command(Generic[Result]):
    """Anything that can be asked of the chat."""


@attrs.frozen
class Sent:
    """The result of `SendMessage`."""

    message: Message
    duplicate: bool
    """The message was there already, by its `client_message_id`; nobody was told again."""


@attrs.frozen
class SendMessage(Command[Sent]):
    """Store a message and tell its conversation."""

    target: Target
    content: str
    client_message_id: ClientMessageId | None = attrs.field(
        default=None, validator=check_client_message_id
    )


@attrs.frozen
class RoomJoined:
    """The result of `JoinRoom`."""

    room_id: RoomId
    last_seq: int
    """The place of the room's newest message, 0 before the first."""
    member_count: int
    joined: bool
    """False when the user was a member already."""


@attrs.frozen
class JoinRoom(Command[RoomJoined]):
    """Become a member of a room, which is made where there is none."""

    room_id: RoomId = attrs.field(validator=check_room_id)


@attrs.frozen
class RoomLeft:
    """The result of `LeaveRoom`."""

    left: bool
    """False when the user was no member."""


@attrs.frozen
class LeaveRoom(Command[RoomLeft]):
    """Be a member of a room no longer."""

    room_id: RoomId = attrs.field(validator=check_room_id)


@attrs.frozen
class StartTyping(Command[None]):
    """Be seen typing, or go on being seen."""

    target: Target


@attrs.frozen
class StopTyping(Command[None]):
    """Be seen typing no longer."""

    target: Target
