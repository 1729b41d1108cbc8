"""What somebody may ask of the chat, and who asks.

A command names the result that it gets: `SendMessage` is a `Command[Stored]`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

import attrs

from socketio_app.domain.activity import Since
from socketio_app.domain.conversations import Target
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.history import (
    DEFAULT_ON_A_PAGE,
    ConversationState,
    Page,
    Window,
    check_limit,
    check_seq,
)
from socketio_app.domain.identifiers import (
    ClientMessageId,
    ConnectionId,
    RoomId,
    UserId,
    check_client_message_id,
    check_room_id,
    check_user_id,
)
from socketio_app.domain.messaging import Message, Stored

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
class SendMessage(Command[Stored]):
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


@attrs.frozen
class FetchHistory(Command[Page]):
    """Read a conversation, a page at a time."""

    target: Target
    window: Window = attrs.field(factory=Window)


@attrs.frozen
class ConversationSummary:
    """One of somebody's conversations, as a list shows it."""

    state: ConversationState
    last_message: Message | None
    """`None` where nothing was said yet, or what was said is not kept."""
    unread_count: int
    """How many messages of others they have not read; counted up to 1,000."""


@attrs.frozen
class ConversationPage:
    """The result of `ListConversations`."""

    conversations: Sequence[ConversationSummary]
    next_cursor: int | None
    """Where the next page begins; `None` after the last."""


@attrs.frozen
class ListConversations(Command[ConversationPage]):
    """Read which conversations one has, those with the newest activity first."""

    limit: int = attrs.field(default=DEFAULT_ON_A_PAGE, validator=check_limit)
    cursor: int | None = attrs.field(default=None, validator=check_seq)
    """Where to begin: a `next_cursor`."""


@attrs.frozen
class Position:
    """How far a client has a conversation, without holes."""

    target: Target
    seq: int = attrs.field(validator=check_seq)


@attrs.frozen
class Missed:
    """What a client does not have of a conversation."""

    state: ConversationState
    messages: Sequence[Message]
    """The newest, in rising `seq`."""
    limited: bool
    """Between what the client has and these, messages are missing: its history has them."""


@attrs.frozen
class CaughtUp:
    """The result of `CatchUp`."""

    recovered: bool
    """False: positions of another epoch mean nothing; the client must load anew."""
    conversations: Sequence[Missed] = ()
    """Those with more than the client has, those with the newest activity first."""
    has_more: bool = False
    """There are others still: catch up again, from where these end."""
    since: Since | None = None
    """Where to continue; `None` where the store cannot say yet."""


MAX_POSITIONS = 1000
"""How many conversations a client may name when it catches up."""


def check_positions(count: int) -> None:
    """Refuse more positions than a client may name.

    Raises:
        InvalidPayload: there are more than `MAX_POSITIONS`.
    """
    if count > MAX_POSITIONS:
        raise InvalidPayload(
            f"positions has {count} entries, at most {MAX_POSITIONS} are allowed",
            field="positions",
        )


def _check_positions(
    _instance: object, _field: "attrs.Attribute[Sequence[Position]]", value: Sequence[Position]
) -> None:
    check_positions(len(value))


@attrs.frozen
class CatchUp(Command[CaughtUp]):
    """Read what one has missed, everywhere."""

    epoch: str
    """The incarnation of the store that the positions are of."""
    positions: Sequence[Position] = attrs.field(default=(), validator=_check_positions)
    limit: int = attrs.field(default=DEFAULT_ON_A_PAGE, validator=check_limit)
    """How many messages of one conversation."""
    since: Since | None = None
    """Where an earlier answer ended. Only what is new since then is read, and `positions` narrows
    it further."""


@attrs.frozen
class ReadMarked:
    """The result of `MarkRead`."""

    read_seq: int
    """How far one has read the conversation now."""


@attrs.frozen
class MarkRead(Command[ReadMarked]):
    """Note how far one has read. It moves forward only."""

    target: Target
    seq: int = attrs.field(validator=check_seq)


@attrs.frozen
class TokenRefreshed:
    """The result of `RefreshToken`."""

    token_expires_at: datetime | None
    """When the new token ends; `None` where the verifier knows of no end."""


@attrs.frozen
class RefreshToken(Command[TokenRefreshed]):
    """Let one's connection live as long as another token of one's own."""

    token: str = attrs.field(repr=False)
