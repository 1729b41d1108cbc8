"""The identifiers, and the form each has (docs/wire.md, "Identifiers")."""

import re
from typing import NewType

import attrs

from socketio_app.domain.errors import InvalidPayload

UserId = NewType("UserId", str)
"""A user: the `sub` of a token."""

RoomId = NewType("RoomId", str)
"""A room: the name that its first member gave it."""

ConnectionId = NewType("ConnectionId", str)
"""One live connection of a user. Made by the server, told to nobody but its own client."""

MessageId = NewType("MessageId", str)
"""A message: a UUIDv7, made by the server."""

ClientMessageId = NewType("ClientMessageId", str)
"""A message as its sender's client names it: one for each message, the same on every retry."""

USER_ID_CHARS = 128
ROOM_ID_CHARS = 128
CLIENT_MESSAGE_ID_CHARS = 64

_ROOM_ID = re.compile(rf"[A-Za-z0-9_.:@-]{{1,{ROOM_ID_CHARS}}}")


def check_user_id(_instance: object, field: "attrs.Attribute[UserId]", value: UserId) -> None:
    """Validate an attribute that holds a user's id: 1 to 128 characters.

    Raises:
        InvalidPayload: for any other string; `field` is the attribute's name.
    """
    _check_text(field.name, value, USER_ID_CHARS)


def check_room_id(_instance: object, field: "attrs.Attribute[RoomId]", value: RoomId) -> None:
    """Validate an attribute that holds a room's id: 1 to 128 of `A-Z a-z 0-9 _ . : @ -`.

    Raises:
        InvalidPayload: for any other string; `field` is the attribute's name.
    """
    if _ROOM_ID.fullmatch(value) is None:
        raise InvalidPayload(
            f"{field.name} must be 1 to {ROOM_ID_CHARS} characters of A-Z a-z 0-9 _ . : @ -",
            field=field.name,
        )


def check_client_message_id(
    _instance: object,
    field: "attrs.Attribute[ClientMessageId | None]",
    value: ClientMessageId | None,
) -> None:
    """Validate an attribute that may hold a client's id of a message: 1 to 64 characters.

    Raises:
        InvalidPayload: for any other string; `field` is the attribute's name.
    """
    if value is not None:
        _check_text(field.name, value, CLIENT_MESSAGE_ID_CHARS)


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: a lone surrogate cannot (RFC 3629, section 3)."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_text(field: str, value: str, limit: int) -> None:
    if not 1 <= len(value) <= limit:
        raise InvalidPayload(f"{field} must be 1 to {limit} characters", field=field)
    if not is_unicode(value):
        raise InvalidPayload(f"{field} holds a lone surrogate", field=field)
