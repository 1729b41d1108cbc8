"""Validation of commands."""

import pytest

from socketio_app.application.commands import Actor, JoinRoom, LeaveRoom, SendMessage
from socketio_app.domain.conversations import Person
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import ClientMessageId, RoomId, UserId
from tests.builders import BOB


@pytest.mark.parametrize("user_id", ["", "a" * 129, "\ud800"])
def test_actor_rejects_invalid_user_id(user_id: str) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        Actor(UserId(user_id))

    assert rejected.value.field == "user_id"


@pytest.mark.parametrize("command", [JoinRoom, LeaveRoom])
@pytest.mark.parametrize("room_id", ["", "a" * 129, "the lobby"])
def test_room_commands_reject_invalid_room_id(
    command: type[JoinRoom | LeaveRoom], room_id: str
) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        command(RoomId(room_id))

    assert rejected.value.field == "room_id"


@pytest.mark.parametrize("client_message_id", ["", "m" * 65, "\ud800"])
def test_message_rejects_invalid_client_message_id(client_message_id: str) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        SendMessage(Person(BOB), "hello", ClientMessageId(client_message_id))

    assert rejected.value.field == "client_message_id"
    assert SendMessage(Person(BOB), "hello").client_message_id is None
