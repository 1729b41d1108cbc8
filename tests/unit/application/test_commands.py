"""Commands that cannot be written wrong."""

import pytest

from socketio_app.application.commands import Actor, JoinRoom, LeaveRoom, SendMessage
from socketio_app.domain.conversations import Person
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import ClientMessageId, RoomId, UserId
from tests.builders import BOB


@pytest.mark.parametrize("user_id", ["", "a" * 129, "\ud800"])
def test_an_actor_has_the_id_of_a_user(user_id: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        Actor(UserId(user_id))

    assert refused.value.field == "user_id"


@pytest.mark.parametrize("command", [JoinRoom, LeaveRoom])
@pytest.mark.parametrize("room_id", ["", "a" * 129, "the lobby"])
def test_a_command_on_a_room_names_one(command: type[JoinRoom | LeaveRoom], room_id: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        command(RoomId(room_id))

    assert refused.value.field == "room_id"


@pytest.mark.parametrize("client_message_id", ["", "m" * 65, "\ud800"])
def test_a_message_has_a_client_message_id_that_is_one_or_none(client_message_id: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        SendMessage(Person(BOB), "hello", ClientMessageId(client_message_id))

    assert refused.value.field == "client_message_id"
    assert SendMessage(Person(BOB), "hello").client_message_id is None
