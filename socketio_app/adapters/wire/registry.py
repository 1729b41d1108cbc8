"""All commands of the wire contract: a row for each.

Decoders, metrics, the documentation's check and the tests derive from it; what a command is counted
with and what carries it out belongs to its class.
"""

from collections.abc import Callable, Mapping, Sequence
from types import GenericAlias
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
    """The shape of its payload."""
    parse: Callable[[Any], Command[Any]]
    """Makes the command from a payload of that shape."""
    answer: Callable[[Any, UserId], Payload]
    """Makes the fields of the acknowledgement from the result, for the user who reads it."""
    queues_events: bool = False
    """Whether events that are published meanwhile wait until the acknowledgement is written."""


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
        queues_events=True,
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

QUEUING_EVENTS: Final = frozenset(name for name, row in COMMANDS.items() if row.queues_events)
"""The commands that queue events."""

PAYLOADS: Final[Mapping[str, "msgspec.json.Decoder[Any]"]] = {
    name: msgspec.json.Decoder(row.payload) for name, row in COMMANDS.items()
}
"""Decodes the payload of a command, by its name."""

DECODERS: Final[Mapping[bytes, "msgspec.json.Decoder[tuple[str, Any]]"]] = {
    name.encode(): msgspec.json.Decoder(GenericAlias(tuple, (str, row.payload)))
    for name, row in COMMANDS.items()
}
"""Decodes an array of a command's name and its payload, by the name."""


def parse(event: str, payloads: Sequence[object], *, is_readable: bool = True) -> Command[Any]:
    """The command in a wire event.

    Args:
        event: the event's name.
        payloads: what the client sent with it, as `DECODERS` or as plain JSON has it.
        is_readable: whether that could be read.

    Raises:
        UnknownCommand: there is no such command.
        InvalidPayload: `field` names the first thing that is wrong.
    """
    if not is_readable:
        raise InvalidPayload("the payload must be one JSON object, not binary and not too deep")
    row = COMMANDS.get(event)
    if row is None:
        raise UnknownCommand("there is no such command")
    if len(payloads) == 1:
        payload = payloads[0]
        if isinstance(payload, row.payload):
            return row.parse(payload)
        if isinstance(payload, dict):
            return row.parse(shaped(payload, row.payload))
    raise InvalidPayload("the payload must be one JSON object")


def acknowledgement(event: str, result: object, reader: UserId) -> Payload:
    """Return the acknowledgement of a command that was carried out for `reader`."""
    return {"ok": True, **COMMANDS[event].answer(result, reader)}
