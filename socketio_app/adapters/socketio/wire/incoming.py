"""What a client sends. Fields that are not named here are ignored: so the contract can grow."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from socketio_app.application.commands import (
    CatchUp,
    Command,
    FetchHistory,
    JoinRoom,
    LeaveRoom,
    ListConversations,
    MarkRead,
    Position,
    SendMessage,
    StartTyping,
    StopTyping,
)
from socketio_app.domain.conversations import Person, Room, Target
from socketio_app.domain.errors import InvalidPayload, UnknownCommand
from socketio_app.domain.history import DEFAULT_ON_A_PAGE, Window
from socketio_app.domain.identifiers import (
    ClientMessageId,
    RoomId,
    UserId,
)


class PersonalMessagePayload(msgspec.Struct, kw_only=True):
    """`send_personal_message`."""

    to_user_id: str | int
    content: str
    client_message_id: str | None = None


class GroupMessagePayload(msgspec.Struct, kw_only=True):
    """`send_group_message`."""

    room_id: str
    content: str
    client_message_id: str | None = None


class RoomPayload(msgspec.Struct):
    """`join_room` and `leave_room`."""

    room_id: str


class TargetPayload(msgspec.Struct, kw_only=True):
    """`typing_start` and `typing_stop`: one of the two."""

    to_user_id: str | int | None = None
    room_id: str | None = None


class HistoryPayload(TargetPayload, kw_only=True):
    """`fetch_history`."""

    before_seq: int | None = None
    after_seq: int | None = None
    limit: int = DEFAULT_ON_A_PAGE


class ConversationsPayload(msgspec.Struct, kw_only=True):
    """`list_conversations`."""

    limit: int = DEFAULT_ON_A_PAGE
    cursor: str | None = None


class PositionPayload(msgspec.Struct, kw_only=True):
    """One of the positions of `catch_up`."""

    target: TargetPayload
    seq: int


class CatchUpPayload(msgspec.Struct, kw_only=True):
    """`catch_up`."""

    epoch: str
    positions: list[PositionPayload]
    limit: int = DEFAULT_ON_A_PAGE


class ReadPayload(TargetPayload, kw_only=True):
    """`mark_read`."""

    seq: int


def _personal_message(payload: PersonalMessagePayload) -> SendMessage:
    return SendMessage(
        _person(payload.to_user_id), payload.content, _client_message_id(payload.client_message_id)
    )


def _group_message(payload: GroupMessagePayload) -> SendMessage:
    return SendMessage(
        Room(RoomId(payload.room_id)),
        payload.content,
        _client_message_id(payload.client_message_id),
    )


def _person(to_user_id: str | int) -> Person:
    return Person(UserId(str(to_user_id)))


def _client_message_id(client_message_id: str | None) -> ClientMessageId | None:
    return None if client_message_id is None else ClientMessageId(client_message_id)


def _target(payload: TargetPayload) -> Target:
    match payload.to_user_id, payload.room_id:
        case None, str(room_id):
            return Room(RoomId(room_id))
        case str() | int() as to_user_id, None:
            return _person(to_user_id)
        case _:
            raise InvalidPayload(
                "exactly one of to_user_id and room_id names the target", field="to_user_id"
            )


def _history(payload: HistoryPayload) -> FetchHistory:
    window = Window(payload.before_seq, payload.after_seq, payload.limit)
    return FetchHistory(_target(payload), window)


def _conversations(payload: ConversationsPayload) -> ListConversations:
    cursor = payload.cursor
    if cursor is None:
        return ListConversations(payload.limit)
    if _CURSOR.fullmatch(cursor) is None:
        raise InvalidPayload("cursor must be a next_cursor of before", field="cursor")
    return ListConversations(payload.limit, int(cursor))


_CURSOR = re.compile(r"[0-9]{1,18}")


def _catch_up(payload: CatchUpPayload) -> CatchUp:
    positions = [Position(_target(each.target), each.seq) for each in payload.positions]
    return CatchUp(payload.epoch, positions, payload.limit)


Parse = Callable[[object], Command[Any]]
Shape = TypeVar("Shape", bound=msgspec.Struct)


def _as(shape: type[Shape], make: Callable[[Shape], Command[Any]]) -> Parse:
    return lambda payload: make(msgspec.convert(payload, shape))


COMMANDS: Mapping[str, Parse] = {
    "send_personal_message": _as(PersonalMessagePayload, _personal_message),
    "send_group_message": _as(GroupMessagePayload, _group_message),
    "join_room": _as(RoomPayload, lambda payload: JoinRoom(RoomId(payload.room_id))),
    "leave_room": _as(RoomPayload, lambda payload: LeaveRoom(RoomId(payload.room_id))),
    "typing_start": _as(TargetPayload, lambda payload: StartTyping(_target(payload))),
    "typing_stop": _as(TargetPayload, lambda payload: StopTyping(_target(payload))),
    "fetch_history": _as(HistoryPayload, _history),
    "list_conversations": _as(ConversationsPayload, _conversations),
    "catch_up": _as(CatchUpPayload, _catch_up),
    "mark_read": _as(ReadPayload, lambda payload: MarkRead(_target(payload), payload.seq)),
}


def parse(event: str, payloads: list[object], *, is_readable: bool = True) -> Command[Any]:
    """The command in a wire event.

    Args:
        event: the event's name.
        payloads: what the client sent with it.
        is_readable: whether that could be read.

    Raises:
        UnknownCommand: there is no such command.
        InvalidPayload: `field` names the first thing that is wrong.
    """
    if not is_readable:
        raise InvalidPayload("the payload must be one JSON object, not binary and not too deep")
    make = COMMANDS.get(event)
    if make is None:
        raise UnknownCommand("there is no such command")
    if len(payloads) != 1 or not isinstance(payloads[0], dict):
        raise InvalidPayload("the payload must be one JSON object")
    try:
        return make(payloads[0])
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


_FIELD = re.compile(r"(?:required field `|at `\$\.)(\w+)`")


def _invalid(error: msgspec.ValidationError) -> InvalidPayload:
    """The refusal in msgspec's words, which name the field and never the value."""
    found = _FIELD.search(str(error))
    field = found.group(1) if found else None
    reason = str(error).partition(" - at ")[0]
    return InvalidPayload(f"{field}: {reason}" if field else reason, field=field)
