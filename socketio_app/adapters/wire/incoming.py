"""Payloads that clients send. Unknown fields are ignored, so that the contract can grow."""

import re
from functools import lru_cache

import msgspec

from socketio_app.adapters.wire.since import parse_since
from socketio_app.application.commands import (
    CatchUp,
    FetchHistory,
    ListConversations,
    MarkRead,
    Position,
    SendMessage,
    check_positions,
)
from socketio_app.domain.conversations import Person, Room, Target
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.history import DEFAULT_PAGE_ROWS, Window
from socketio_app.domain.identifiers import (
    MAX_USER_ID_CHARS,
    ClientMessageId,
    RoomId,
    UserId,
)

Number = int | float
"""An integer. Some languages write it as `1.0`, which JavaScript does not distinguish from `1`."""


class PersonalMessagePayload(msgspec.Struct, kw_only=True):
    """Payload of `send_personal_message`."""

    to_user_id: str | Number
    content: str
    client_message_id: ClientMessageId | None = None


class GroupMessagePayload(msgspec.Struct, kw_only=True):
    """Payload of `send_group_message`."""

    room_id: str
    content: str
    client_message_id: ClientMessageId | None = None


class RoomPayload(msgspec.Struct):
    """Payload of `join_room` and `leave_room`."""

    room_id: str


class TargetPayload(msgspec.Struct, kw_only=True):
    """Payload of `typing_start` and `typing_stop`: exactly one of the fields."""

    to_user_id: str | Number | None = None
    room_id: str | None = None


class HistoryPayload(TargetPayload, kw_only=True):
    """Payload of `fetch_history`."""

    before_seq: Number | None = None
    after_seq: Number | None = None
    limit: Number | None = None


class ConversationsPayload(msgspec.Struct, kw_only=True):
    """Payload of `list_conversations`."""

    limit: Number | None = None
    cursor: str | None = None


class PositionPayload(msgspec.Struct, kw_only=True):
    """Item of the `positions` of `catch_up`."""

    target: TargetPayload
    seq: Number


class CatchUpPayload(msgspec.Struct, kw_only=True):
    """Payload of `catch_up`."""

    epoch: str | None = None
    positions: list[PositionPayload] | None = None
    limit: Number | None = None
    since: str | None = None


class ReadPayload(TargetPayload, kw_only=True):
    """Payload of `mark_read`."""

    seq: Number


class TokenPayload(msgspec.Struct):
    """Payload of `refresh_token`."""

    token: str


def personal_message(payload: PersonalMessagePayload) -> SendMessage:
    """Return the `SendMessage` for a payload."""
    recipient = payload.to_user_id
    target = _named(recipient) if isinstance(recipient, str) else _numbered(recipient)
    return SendMessage(target, payload.content, payload.client_message_id)


def group_message(payload: GroupMessagePayload) -> SendMessage:
    """Return the `SendMessage` for a payload."""
    return SendMessage(_room(payload.room_id), payload.content, payload.client_message_id)


def _integer(field: str, number: Number) -> int:
    """Return the integer that a number represents.

    Raises:
        InvalidPayload: the number has a fraction.
    """
    if isinstance(number, float):
        if not number.is_integer():
            raise InvalidPayload(f"{field}: Expected `int`, got `float`", field=field)
        return int(number)
    return number


def _optional_integer(field: str, number: Number | None) -> int | None:
    return None if number is None else _integer(field, number)


def _limit(number: Number | None) -> int:
    return DEFAULT_PAGE_ROWS if number is None else _integer("limit", number)


def _person(to_user_id: str | Number) -> Person:
    return _named(to_user_id) if isinstance(to_user_id, str) else _numbered(to_user_id)


def _numbered(to_user_id: Number) -> Person:
    number = _integer("to_user_id", to_user_id)
    # Checked first, because `str` fails for numbers with thousands of digits.
    if abs(number) >= 10**MAX_USER_ID_CHARS:
        raise InvalidPayload(
            f"to_user_id must have at most {MAX_USER_ID_CHARS} characters", field="to_user_id"
        )
    return _named(str(number))


# Clients send the same targets repeatedly.
@lru_cache(maxsize=8192)
def _named(user_id: str) -> Person:
    return Person(UserId(user_id))


@lru_cache(maxsize=8192)
def _room(room_id: str) -> Room:
    return Room(RoomId(room_id))


def target(payload: TargetPayload) -> Target:
    """Return the person or room that a payload identifies.

    Raises:
        InvalidPayload: the payload does not have exactly one of the fields.
    """
    match payload.to_user_id, payload.room_id:
        case None, str(room_id):
            return _room(room_id)
        case str() | int() | float() as to_user_id, None:
            return _person(to_user_id)
        case _:
            raise InvalidPayload(
                "exactly one of to_user_id and room_id is required", field="to_user_id"
            )


def history(payload: HistoryPayload) -> FetchHistory:
    """Return the `FetchHistory` for a payload."""
    window = Window(
        _optional_integer("before_seq", payload.before_seq),
        _optional_integer("after_seq", payload.after_seq),
        _limit(payload.limit),
    )
    return FetchHistory(target(payload), window)


def conversations(payload: ConversationsPayload) -> ListConversations:
    """Return the `ListConversations` for a payload."""
    cursor = payload.cursor
    if cursor is None:
        return ListConversations(_limit(payload.limit))
    if _CURSOR.fullmatch(cursor) is None:
        raise InvalidPayload("cursor must be a next_cursor from an earlier page", field="cursor")
    return ListConversations(_limit(payload.limit), int(cursor))


_CURSOR = re.compile(r"[0-9]{1,18}")


def catch_up(payload: CatchUpPayload) -> CatchUp:
    """Return the `CatchUp` for a payload."""
    check_positions(len(payload.positions or ()))
    since = None if payload.since is None else parse_since(payload.since)
    epoch = payload.epoch if since is None else payload.epoch or since.epoch
    for field, value in (("epoch", epoch), ("positions", payload.positions)):
        if value is None and since is None:
            raise InvalidPayload(f"{field} is required without since", field=field)
    positions = [
        Position(target(each.target), _integer("seq", each.seq)) for each in payload.positions or ()
    ]
    return CatchUp(epoch or "", positions, _limit(payload.limit), since)


def mark_read(payload: ReadPayload) -> MarkRead:
    """Return the `MarkRead` for a payload."""
    return MarkRead(target(payload), _integer("seq", payload.seq))


def shaped(payload: object, shape: type[msgspec.Struct]) -> msgspec.Struct:
    """Convert a decoded JSON object to a payload.

    Raises:
        InvalidPayload: a field is missing or has the wrong type.
    """
    try:
        return msgspec.convert(payload, shape)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except UnicodeEncodeError:  # a field name with a lone surrogate
        raise InvalidPayload("the payload must be valid Unicode") from None


_FIELD = re.compile(r"(?:required field `|at `\$(?:\[1\])?\.)(\w+)")
_WHOLE_PAYLOAD = re.compile(r"at `\$\[1\]`|length [12]")


def invalid(error: msgspec.ValidationError) -> InvalidPayload:
    """Return the rejection for an error. msgspec's message names the field, never its value."""
    found = _FIELD.search(str(error))
    field = found.group(1) if found else None
    if field is None and _WHOLE_PAYLOAD.search(str(error)):
        return InvalidPayload("the payload must be a single JSON object")
    reason = str(error).partition(" - at ")[0]
    return InvalidPayload(f"{field}: {reason}" if field else reason, field=field)
