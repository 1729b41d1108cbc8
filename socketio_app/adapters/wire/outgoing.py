"""Payloads that clients receive: acknowledgements, errors and events."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import attrs

from socketio_app.adapters.wire.incoming import (
    GroupMessagePayload,
    PersonalMessagePayload,
)
from socketio_app.adapters.wire.message_payloads import (
    DeliveryPayload,
    MessagePayload,
    delivered,
    message_payload,
    sent,
)
from socketio_app.adapters.wire.since import since_text
from socketio_app.adapters.wire.times import time
from socketio_app.application.commands import (
    CaughtUp,
    ConversationPage,
    ConversationSummary,
    MissedMessages,
    ReadMarked,
    RoomJoined,
    RoomLeft,
    TokenRefreshed,
)
from socketio_app.application.events import (
    ClientLimits,
    Connected,
    Event,
    MessageDelivered,
    MessageRead,
    MessageSent,
    TokenExpiring,
    UserJoined,
    UserLeft,
)
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.errors import ChatError
from socketio_app.domain.history import Page
from socketio_app.domain.identifiers import (
    MAX_CLIENT_MESSAGE_ID_CHARS,
    UserId,
    is_unicode,
)
from socketio_app.domain.messaging import Stored
from socketio_app.domain.typing_board import TypingStarted, TypingStopped

Payload = dict[str, Any]
"""A JSON object."""

EventPayload = Payload | MessagePayload | DeliveryPayload
"""The payload of an event."""


def done(_result: None, _reader: UserId) -> Payload:
    """Return the fields of an acknowledgement without a result."""
    return {}


def stored(result: Stored, _reader: UserId) -> Payload:
    """Return the fields of the acknowledgement of `SendMessage`."""
    return {"message": message_payload(result.message), "duplicate": result.duplicate}


def room_joined(result: RoomJoined, _reader: UserId) -> Payload:
    """Return the fields of the acknowledgement of `JoinRoom`."""
    room = {
        "room_id": result.room_id,
        "last_seq": result.last_seq,
        "member_count": result.member_count,
    }
    return {"room": room, "joined": result.joined}


def room_left(result: RoomLeft, _reader: UserId) -> Payload:
    """Return the fields of the acknowledgement of `LeaveRoom`."""
    return {"left": result.left}


def page(result: Page, _reader: UserId) -> Payload:
    """Return the fields of the acknowledgement of `FetchHistory`."""
    return {
        "messages": [message_payload(message) for message in result.messages],
        "has_more": result.has_more,
        "last_seq": result.last_seq,
    }


def conversation_page(result: ConversationPage, reader: UserId) -> Payload:
    """Return the fields of the acknowledgement of `ListConversations`."""
    listed = [_summary(reader, each) for each in result.conversations]
    more = {} if result.next_cursor is None else {"next_cursor": str(result.next_cursor)}
    return {"conversations": listed, **more}


def caught_up(result: CaughtUp, reader: UserId) -> Payload:
    """Return the fields of the acknowledgement of `CatchUp`."""
    if not result.recovered:
        return {"recovered": False}
    return {
        "recovered": True,
        "conversations": [_missed(reader, each) for each in result.conversations],
        "has_more": result.has_more,
        "since": since_text(result.since),
    }


def read_marked(result: ReadMarked, _reader: UserId) -> Payload:
    """Return the fields of the acknowledgement of `MarkRead`."""
    return {"read_seq": result.read_seq}


def token_refreshed(result: TokenRefreshed, _reader: UserId) -> Payload:
    """Return the fields of the acknowledgement of `RefreshToken`."""
    return {"token_expires_at": _time_or_none(result.token_expires_at)}


def _summary(reader: UserId, summary: ConversationSummary) -> Payload:
    state, last = summary.state, summary.last_message
    return {
        **_target_payload(reader, state.conversation),
        "last_seq": state.last_seq,
        "last_message": None if last is None else message_payload(last),
        "delivered_seq": state.delivered_seq,
        "read_seq": state.read_seq,
        "unread_count": summary.unread_count,
    }


def _missed(reader: UserId, missed: MissedMessages) -> Payload:
    state = missed.state
    return {
        "target": _target_payload(reader, state.conversation),
        "messages": [message_payload(message) for message in missed.messages],
        "limited": missed.limited,
        "last_seq": state.last_seq,
        "read_seq": state.read_seq,
    }


def error_payload(error: ChatError) -> Payload:
    """Return the error object for a rejected command."""
    payload: Payload = {"code": error.code, "message": error.message}
    for detail in ("field", "retry_after_ms"):
        value = getattr(error, detail, None)
        if value is not None:
            payload[detail] = value
    return payload


def internal_error_payload(error_id: str) -> Payload:
    """Return the error object for an internal error."""
    return {
        "code": "internal",
        "message": f"internal error {error_id}; the server's log has the details",
    }


_COMMAND_NAME_CHARS = 64


def error_event(error: Payload, event: str, payloads: Sequence[object]) -> Payload:
    """Return the payload of the `error` event, sent if no acknowledgement was requested."""
    payload = dict(error)
    if event and is_unicode(event):
        payload["command"] = event[:_COMMAND_NAME_CHARS]
    match payloads:
        case [
            {"client_message_id": str(given)}
            | PersonalMessagePayload(client_message_id=str(given))
            | GroupMessagePayload(client_message_id=str(given))
        ]:
            if 1 <= len(given) <= MAX_CLIENT_MESSAGE_ID_CHARS and is_unicode(given):
                payload["client_message_id"] = given
    return payload


def _time_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else time(moment)


def _target_payload(user_id: UserId, conversation: Conversation) -> Payload:
    if isinstance(conversation, Room):
        return {"room_id": conversation.room_id}
    return {"to_user_id": conversation.other(user_id)}


def connected(event: Connected) -> Payload:
    """Return the payload of `connected`."""
    return {
        "user_id": event.user_id,
        "connection_id": event.connection_id,
        "epoch": event.epoch,
        "server_time": time(event.server_time),
        "token_expires_at": _time_or_none(event.token_expires_at),
        "limits": _limits(event.limits),
        "since": since_text(event.since),
    }


@cache
def _limits(limits: ClientLimits) -> Payload:
    """Return the payload of a server's limits, of which there are as many as chats in a process."""
    return attrs.asdict(limits)


def _token_expiring(event: TokenExpiring) -> tuple[str, Payload]:
    return "token_expiring", {
        "token_expires_at": time(event.token_expires_at),
        "expires_in_ms": round(event.expires_in.total_seconds() * 1000),
    }


def _read(event: MessageRead) -> tuple[str, Payload]:
    return "message_read", {
        "user_id": event.user_id,
        **_target_payload(event.user_id, event.conversation),
        "seq": event.seq,
        "read_at": time(event.read_at),
    }


def _typing_started(event: TypingStarted) -> tuple[str, Payload]:
    return "typing", {
        "from_user_id": event.user_id,
        **_target_payload(event.user_id, event.conversation),
        "is_typing": True,
        "expires_in_ms": round(event.expires_in.total_seconds() * 1000),
    }


def _typing_stopped(event: TypingStopped) -> tuple[str, Payload]:
    return "typing", {
        "from_user_id": event.user_id,
        **_target_payload(event.user_id, event.conversation),
        "is_typing": False,
    }


def _joined(event: UserJoined) -> tuple[str, Payload]:
    return "user_joined", {
        "room_id": event.room_id,
        "user_id": event.user_id,
        "joined_at": time(event.joined_at),
        "member_count": event.member_count,
    }


def _left(event: UserLeft) -> tuple[str, Payload]:
    return "user_left", {
        "room_id": event.room_id,
        "user_id": event.user_id,
        "left_at": time(event.left_at),
        "member_count": event.member_count,
        "reason": event.reason,
    }


EVENTS: Mapping[type[Event], Callable[[Any], tuple[str, EventPayload]]] = {
    Connected: lambda event: ("connected", connected(event)),
    TokenExpiring: _token_expiring,
    MessageSent: sent,
    MessageDelivered: delivered,
    MessageRead: _read,
    TypingStarted: _typing_started,
    TypingStopped: _typing_stopped,
    UserJoined: _joined,
    UserLeft: _left,
}
"""Functions that return an event's name and payload, by the event's type."""
