"""Commands, their results, and the actor who issues them.

The type parameter of a command is its result: `SendMessage` is a `Command[Stored]`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar

import attrs

from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.conversations import Target
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.history import (
    DEFAULT_PAGE_ROWS,
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
    as_room_id,
    as_user_id,
    check_client_message_id,
    check_room_id,
    check_user_id,
)
from socketio_app.domain.messaging import Message, Stored
from socketio_app.domain.values import Value

Result = TypeVar("Result")

CommandKind = Literal["send", "membership", "typing", "reading", "token"]
"""Commands of one kind share their rates."""


@attrs.frozen
class Actor:
    """The user who issues a command."""

    user_id: UserId = attrs.field(converter=as_user_id, validator=check_user_id)
    connection_id: ConnectionId | None = None
    """The connection it came from; `None` if the host application acts on behalf of the user."""


class Command(Generic[Result]):
    """Base class for commands."""

    __slots__ = ()

    kind: ClassVar[CommandKind]
    """What its rate is counted with."""
    takes_turns: ClassVar[bool] = False
    """Whether a user's commands of this kind wait for one another (`ReadTurns`)."""


class SendMessage(Command[Stored], Value, frozen=True):
    """Store a message and broadcast it to its conversation."""

    kind = "send"

    target: Target
    content: str
    client_message_id: ClientMessageId | None = None

    def __post_init__(self) -> None:
        if self.client_message_id is not None:
            check_client_message_id(self.client_message_id)


@attrs.frozen
class RoomJoined:
    """The result of `JoinRoom`."""

    room_id: RoomId
    last_seq: int
    """`seq` of the room's newest message, or 0 if there is none."""
    member_count: int
    joined: bool
    """False if the user was already a member."""


@attrs.frozen
class JoinRoom(Command[RoomJoined]):
    """Join a room, which is created if it does not exist."""

    kind = "membership"

    room_id: RoomId = attrs.field(converter=as_room_id, validator=check_room_id)


@attrs.frozen
class RoomLeft:
    """The result of `LeaveRoom`."""

    left: bool
    """False if the user was not a member."""


@attrs.frozen
class LeaveRoom(Command[RoomLeft]):
    """Leave a room."""

    kind = "membership"

    room_id: RoomId = attrs.field(converter=as_room_id, validator=check_room_id)


@attrs.frozen
class StartTyping(Command[None]):
    """Start typing, or renew the typing state."""

    kind = "typing"

    target: Target


@attrs.frozen
class StopTyping(Command[None]):
    """Stop typing."""

    kind = "typing"

    target: Target


@attrs.frozen
class FetchHistory(Command[Page]):
    """Read a page of a conversation."""

    kind = "reading"
    takes_turns = True

    target: Target
    window: Window = attrs.field(factory=Window)


@attrs.frozen
class ConversationSummary:
    """An entry in a user's list of conversations."""

    state: ConversationState
    last_message: Message | None
    """`None` if there is no message, or the newest one is no longer stored."""
    unread_count: int
    """Number of unread messages, at most 1,000."""


@attrs.frozen
class ConversationPage:
    """The result of `ListConversations`."""

    conversations: Sequence[ConversationSummary]
    next_cursor: int | None
    """Cursor of the next page; `None` on the last page."""


@attrs.frozen
class ListConversations(Command[ConversationPage]):
    """List the user's conversations, most recently active first."""

    kind = "reading"
    takes_turns = True

    limit: int = attrs.field(default=DEFAULT_PAGE_ROWS, validator=check_limit)
    cursor: int | None = attrs.field(default=None, validator=check_seq)
    """`next_cursor` of an earlier page; `None` for the first page."""


@attrs.frozen
class Position:
    """The `seq` up to which a client has all messages of a conversation."""

    target: Target
    seq: int = attrs.field(validator=check_seq)


@attrs.frozen
class MissedMessages:
    """Messages of a conversation that a client has missed."""

    state: ConversationState
    messages: Sequence[Message]
    """The newest missed messages, in ascending `seq`."""
    limited: bool
    """Whether earlier missed messages were left out; `FetchHistory` returns them."""


@attrs.frozen
class CaughtUp:
    """The result of `CatchUp`."""

    recovered: bool
    """False if the client's positions are from another epoch: it must reload everything."""
    conversations: Sequence[MissedMessages] = ()
    """Conversations with messages that the client has missed."""
    has_more: bool = False
    """Whether there are more conversations: catch up again from `since`."""
    since: CatchUpCursor | None = None
    """Cursor for the next catch-up; `None` if the store does not know it yet."""


MAX_POSITIONS = 1000
"""Maximum number of positions in a `CatchUp` command."""


def check_positions(count: int) -> None:
    """Check the number of positions.

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
    """Read missed messages of all the user's conversations."""

    kind = "reading"
    takes_turns = True

    epoch: str
    """Epoch of the store that the positions refer to."""
    positions: Sequence[Position] = attrs.field(default=(), validator=_check_positions)
    limit: int = attrs.field(default=DEFAULT_PAGE_ROWS, validator=check_limit)
    """Maximum number of messages per conversation."""
    since: CatchUpCursor | None = None
    """Cursor from an earlier result. If set, only newer messages are read, and `positions`
    excludes those that the client already has."""


@attrs.frozen
class ReadMarked:
    """The result of `MarkRead`."""

    read_seq: int
    """The `seq` up to which the user has read."""


@attrs.frozen
class MarkRead(Command[ReadMarked]):
    """Move the user's read marker in a conversation forward."""

    kind = "reading"

    target: Target
    seq: int = attrs.field(validator=check_seq)


@attrs.frozen
class TokenRefreshed:
    """The result of `RefreshToken`."""

    token_expires_at: datetime | None
    """Expiry of the new token; `None` if it does not expire or the verifier does not know."""


@attrs.frozen
class RefreshToken(Command[TokenRefreshed]):
    """Replace the connection's token by another one of the same user."""

    kind = "token"

    token: str = attrs.field(repr=False)


def all_commands() -> Sequence[type[Command[Any]]]:
    """Return all types of commands, which are defined in this module.

    `Command.__subclasses__` would also return the classes that attrs has replaced by others with
    slots, as long as the garbage collector has not freed them.
    """
    return [
        each
        for each in globals().values()
        if isinstance(each, type) and issubclass(each, Command) and each is not Command
    ]
