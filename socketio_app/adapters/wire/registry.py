"""The commands of the wire contract, one row each.

Decoders, metrics, the documentation check and the tests are derived from these rows. The kind of a
command, which determines its rate limit, and its use case are declared elsewhere: in the command's
class, and with `carries_out`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import msgspec

from socketio_app.adapters.wire import incoming, outgoing
from socketio_app.adapters.wire.incoming import shaped
from socketio_app.adapters.wire.outgoing import Payload
from socketio_app.application.commands import (
    CatchUp,
    Command,
    FetchHistory,
    JoinRoom,
    LeaveRoom,
    ListConversations,
    MarkRead,
    RefreshToken,
    SendMessage,
    StartTyping,
    StopTyping,
)
from socketio_app.domain.errors import InvalidPayload, UnknownCommand
from socketio_app.domain.identifiers import RoomId, UserId


@attrs.frozen
class WireCommand:
    """A command on the wire."""

    command: type[Command[Any]]
    payload: type[msgspec.Struct]
    """Type of its payload."""
    parse: Callable[[Any], Command[Any]]
    """Converts a payload to the command."""
    answer: Callable[[Any, UserId], Payload]
    """Converts the result to the fields of the acknowledgement, for the user who receives it."""
    holds_events: bool = False
    """Whether events are held back until the acknowledgement is written."""


COMMANDS: Final[Mapping[str, WireCommand]] = {
    "send_personal_message": WireCommand(
        SendMessage,
        incoming.PersonalMessagePayload,
        incoming.personal_message,
        outgoing.stored,
    ),
    "send_group_message": WireCommand(
        SendMessage,
        incoming.GroupMessagePayload,
        incoming.group_message,
        outgoing.stored,
    ),
    "join_room": WireCommand(
        JoinRoom,
        incoming.RoomPayload,
        lambda payload: JoinRoom(RoomId(payload.room_id)),
        outgoing.room_joined,
    ),
    "leave_room": WireCommand(
        LeaveRoom,
        incoming.RoomPayload,
        lambda payload: LeaveRoom(RoomId(payload.room_id)),
        outgoing.room_left,
    ),
    "typing_start": WireCommand(
        StartTyping,
        incoming.TargetPayload,
        lambda payload: StartTyping(incoming.target(payload)),
        outgoing.done,
    ),
    "typing_stop": WireCommand(
        StopTyping,
        incoming.TargetPayload,
        lambda payload: StopTyping(incoming.target(payload)),
        outgoing.done,
    ),
    "fetch_history": WireCommand(
        FetchHistory, incoming.HistoryPayload, incoming.history, outgoing.page
    ),
    "list_conversations": WireCommand(
        ListConversations,
        incoming.ConversationsPayload,
        incoming.conversations,
        outgoing.conversation_page,
    ),
    "catch_up": WireCommand(
        CatchUp,
        incoming.CatchUpPayload,
        incoming.catch_up,
        outgoing.caught_up,
        holds_events=True,
    ),
    "mark_read": WireCommand(
        MarkRead, incoming.ReadPayload, incoming.mark_read, outgoing.read_marked
    ),
    "refresh_token": WireCommand(
        RefreshToken,
        incoming.TokenPayload,
        lambda payload: RefreshToken(payload.token),
        outgoing.token_refreshed,
    ),
}

HOLDING_COMMANDS: Final = frozenset(name for name, row in COMMANDS.items() if row.holds_events)
"""Names of the commands during which events are held back."""

PAYLOADS: Final[Mapping[str, "msgspec.json.Decoder[Any]"]] = {
    name: msgspec.json.Decoder(row.payload) for name, row in COMMANDS.items()
}
"""Decoders of payloads, by command name."""


def parse(event: str, payloads: Sequence[object], *, is_readable: bool = True) -> Command[Any]:
    """Return the command in a wire event.

    Args:
        event: the event's name.
        payloads: the event's payloads, decoded to the type in its row or to plain JSON values.
        is_readable: whether the payloads could be decoded.

    Raises:
        UnknownCommand: there is no such command.
        InvalidPayload: the payload is invalid; `field` names the first invalid field.
    """
    if not is_readable:
        raise InvalidPayload(
            "the payload must be a single JSON object, not binary and not nested too deeply"
        )
    row = COMMANDS.get(event)
    if row is None:
        raise UnknownCommand("unknown command")
    if len(payloads) == 1:
        payload = payloads[0]
        if isinstance(payload, row.payload):
            return row.parse(payload)
        if isinstance(payload, dict):
            return row.parse(shaped(payload, row.payload))
    raise InvalidPayload("the payload must be a single JSON object")


def acknowledgement(event: str, result: object, reader: UserId) -> Payload:
    """Return the acknowledgement of a command that was executed for `reader`."""
    return {"ok": True, **COMMANDS[event].answer(result, reader)}
