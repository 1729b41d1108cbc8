"""Events, and the audiences they are published to.

Each event states the conversation that it belongs to: a connection receives the events of a
conversation in order, and none while the conversation is held back.
"""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Literal

import attrs

from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId
from socketio_app.domain.messaging import Message
from socketio_app.domain.rooms import LeaveReason
from socketio_app.domain.typing_board import TypingStarted, TypingStopped
from socketio_app.domain.values import Value


@attrs.frozen
class ClientLimits:
    """The limits that clients need to know."""

    content_chars: int
    user_id_chars: int
    room_id_chars: int
    client_message_id_chars: int
    rooms_per_user: int
    page_messages: int
    catch_up_positions: int
    typing_ttl_ms: int
    typing_renew_ms: int


@attrs.frozen
class Connected:
    """A connection is open. Its first event."""

    user_id: UserId
    connection_id: ConnectionId
    epoch: str
    """Epoch of the store. Positions from another epoch are meaningless."""
    server_time: datetime
    token_expires_at: datetime | None
    limits: ClientLimits
    since: CatchUpCursor | None = None
    """Cursor for catching up after this connection; `None` if the store does not know it yet."""
    conversation: ClassVar[None] = None


@attrs.frozen
class TokenExpiring:
    """A connection's token is about to expire, and the connection to be closed."""

    token_expires_at: datetime
    expires_in: timedelta
    conversation: ClassVar[None] = None


class MessageSent(Value, frozen=True):
    """A message was stored."""

    message: Message

    @property
    def conversation(self) -> Conversation:
        """The message's conversation."""
        return self.message.conversation


class MessageDelivered(Value, frozen=True):
    """A message was delivered: confirmed by a client of its recipient, or written to its room."""

    message: Message
    delivered_at: datetime

    @property
    def conversation(self) -> Conversation:
        """The message's conversation."""
        return self.message.conversation


@attrs.frozen
class MessageRead:
    """A user has read a conversation up to a message."""

    user_id: UserId
    conversation: Conversation
    seq: int
    read_at: datetime


def _room_field() -> Any:
    """Return the field of an event's room as a conversation, which `room_id` determines."""
    room = attrs.Factory(lambda event: Room(event.room_id), takes_self=True)
    return attrs.field(default=room, init=False, repr=False, eq=False)


@attrs.frozen
class UserJoined:
    """A user became a member of a room."""

    room_id: RoomId
    user_id: UserId
    joined_at: datetime
    member_count: int
    conversation: Room = _room_field()


@attrs.frozen
class UserLeft:
    """A user is no longer a member of a room."""

    room_id: RoomId
    user_id: UserId
    left_at: datetime
    member_count: int
    reason: LeaveReason
    conversation: Room = _room_field()


Event = (
    Connected
    | TokenExpiring
    | MessageSent
    | MessageDelivered
    | MessageRead
    | UserJoined
    | UserLeft
    | TypingStarted
    | TypingStopped
)


EPHEMERAL: Final = (TypingStarted, TypingStopped)
"""Events that may be dropped: clients end the typing state by themselves (docs/wire.md)."""


class Users(Value, frozen=True):
    """All connections of these users, each connection once."""

    user_ids: tuple[UserId, ...]
    except_connection: ConnectionId | None = None


class Members(Value, frozen=True):
    """All connections of a room's members."""

    room_id: RoomId
    except_connection: ConnectionId | None = None
    except_user: UserId | None = None


class OneConnection(Value, frozen=True):
    """A single connection of a user."""

    user_id: UserId
    connection_id: ConnectionId


Audience = Users | Members | OneConnection


def audience_of(
    conversation: Conversation, except_connection: ConnectionId | None = None
) -> Users | Members:
    """Return everybody in a conversation, except for one connection."""
    if isinstance(conversation, Room):
        return Members(conversation.room_id, except_connection)
    if conversation.first == conversation.second:
        return Users((conversation.first,), except_connection)
    return Users((conversation.first, conversation.second), except_connection)


DisconnectReason = Literal["token_expired", "disconnected"]
"""Why connections are closed: their token has expired, or the operator disconnected the user and
clients should not reconnect by themselves."""
