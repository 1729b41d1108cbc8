"""The wire contract: every name and payload that a Socket.IO client sees (docs/wire.md).

Nothing here knows of sockets. Commands come in, through `parse`; acknowledgements, refusals and
events go out, as plain dictionaries.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import attrs
import msgspec

from socketio_app.application.commands import (
    Command,
    JoinRoom,
    LeaveRoom,
    RoomJoined,
    RoomLeft,
    SendMessage,
    Sent,
    StartTyping,
    StopTyping,
)
from socketio_app.application.events import (
    Connected,
    Event,
    MessageDelivered,
    MessageSent,
    UserJoined,
    UserLeft,
)
from socketio_app.domain.conversations import Conversation, Person, Room, Target
from socketio_app.domain.errors import ChatError, InvalidPayload, UnknownCommand
from socketio_app.domain.identifiers import (
    CLIENT_MESSAGE_ID_CHARS,
    ClientMessageId,
    RoomId,
    UserId,
    is_unicode,
)
from socketio_app.domain.messaging import Message
from socketio_app.domain.typing_board import TypingStarted, TypingStopped

Payload = dict[str, Any]
"""One JSON object."""


# What a client sends. Fields that are not named here are ignored: so the contract can grow.


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
}


def parse(event: str | None, payloads: list[object]) -> Command[Any]:
    """The command in a wire event.

    Args:
        event: the event's name; `None` where it could not be read.
        payloads: what the client sent with it.

    Raises:
        UnknownCommand: there is no such command.
        InvalidPayload: `field` names the first thing that is wrong.
    """
    if event is None:
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


# What a client is told.


def acknowledgement(result: object) -> Payload:
    """The acknowledgement of a command that was carried out."""
    match result:
        case Sent(message, duplicate):
            return {"ok": True, "message": message_payload(message), "duplicate": duplicate}
        case RoomJoined(room_id, last_seq, member_count, joined):
            room = {"room_id": room_id, "last_seq": last_seq, "member_count": member_count}
            return {"ok": True, "room": room, "joined": joined}
        case RoomLeft(left):
            return {"ok": True, "left": left}
        case _:
            return {"ok": True}


def refusal(error: ChatError) -> Payload:
    """The error object of a command that was refused."""
    payload: Payload = {"code": error.code, "message": error.message}
    for detail in ("field", "retry_after_ms"):
        value = getattr(error, detail, None)
        if value is not None:
            payload[detail] = value
    return payload


def fault(error_id: str) -> Payload:
    """The error object of a command that met a fault of ours."""
    return {
        "code": "internal",
        "message": f"a fault of the server, which is in its log as {error_id}",
    }


_COMMAND_NAME_CHARS = 64


def error_event(error: Payload, event: str | None, payloads: list[object]) -> Payload:
    """The `error` event for a command that asked for no acknowledgement."""
    told = dict(error)
    if event is not None and is_unicode(event):
        told["command"] = event[:_COMMAND_NAME_CHARS]
    match payloads:
        case [{"client_message_id": str(given)}]:
            if 1 <= len(given) <= CLIENT_MESSAGE_ID_CHARS and is_unicode(given):
                told["client_message_id"] = given
    return told


def event_payload(event: Event) -> tuple[str, Payload]:
    """An event's name and payload."""
    match event:
        case MessageSent(message):
            name = "receive_group_message" if message.to_user_id is None else _PERSONAL
            return name, message_payload(message)
        case MessageDelivered():
            return _delivered(event)
        case TypingStarted(user_id, conversation, expires_in):
            return "typing", {
                "from_user_id": user_id,
                **_target_payload(user_id, conversation),
                "is_typing": True,
                "expires_in_ms": round(expires_in.total_seconds() * 1000),
            }
        case TypingStopped(user_id, conversation):
            return "typing", {
                "from_user_id": user_id,
                **_target_payload(user_id, conversation),
                "is_typing": False,
            }
        case UserJoined():
            return "user_joined", {
                "room_id": event.room_id,
                "user_id": event.user_id,
                "joined_at": time(event.joined_at),
                "member_count": event.member_count,
            }
        case UserLeft():
            return "user_left", {
                "room_id": event.room_id,
                "user_id": event.user_id,
                "left_at": time(event.left_at),
                "member_count": event.member_count,
                "reason": event.reason,
            }
        case Connected():
            return "connected", _connected(event)


_PERSONAL = "receive_personal_message"


def message_payload(message: Message) -> Payload:
    """A message."""
    payload = {
        "message_id": message.message_id,
        "seq": message.seq,
        "from_user_id": message.from_user_id,
        **_target_payload(message.from_user_id, message.conversation),
        "content": message.content,
        "created_at": time(message.created_at),
    }
    if message.client_message_id is not None:
        payload["client_message_id"] = message.client_message_id
    return payload


def time(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC with milliseconds: `2026-11-23T12:00:00.123Z`.

    `moment` must be in UTC.
    """
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _target_payload(user_id: UserId, conversation: Conversation) -> Payload:
    if isinstance(conversation, Room):
        return {"room_id": conversation.room_id}
    return {"to_user_id": conversation.other(user_id)}


def _delivered(event: MessageDelivered) -> tuple[str, Payload]:
    payload: Payload = {"message_id": event.message_id}
    if event.client_message_id is not None:
        payload["client_message_id"] = event.client_message_id
    if event.room_id is None:
        name = "personal_message_delivered"
        payload["to_user_id"] = event.to_user_id
    else:
        name = "group_message_delivered"
        payload["room_id"] = event.room_id
    return name, {**payload, "seq": event.seq, "delivered_at": time(event.delivered_at)}


def _connected(event: Connected) -> Payload:
    expires_at = event.token_expires_at
    return {
        "user_id": event.user_id,
        "connection_id": event.connection_id,
        "epoch": event.epoch,
        "server_time": time(event.server_time),
        "token_expires_at": None if expires_at is None else time(expires_at),
        "limits": attrs.asdict(event.limits),
    }
