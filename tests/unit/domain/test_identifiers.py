"""Validation of identifiers (docs/wire.md, "Identifiers")."""

from typing import Any

import pytest

from socketio_app.domain.conversations import Person, Room
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import (
    ClientMessageId,
    RoomId,
    UserId,
    check_client_message_id,
    is_unicode,
)


@pytest.mark.parametrize("name", ["a", "a" * 128, "😀" * 128, "42", "Ada Lovelace", "日本", "\0"])
def test_user_id_accepts_1_to_128_characters(name: str) -> None:
    assert Person(UserId(name)).to_user_id == name


@pytest.mark.parametrize("name", ["", "a" * 129, "😀" * 129, "\ud800", "ada\udfff"])
def test_user_id_rejects_invalid_text(name: str) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        Person(UserId(name))

    assert rejected.value.field == "to_user_id"


@pytest.mark.parametrize("value", [None, True, 7.0, b"ada"])
def test_user_id_of_another_type_is_rejected_by_name(value: Any) -> None:
    with pytest.raises(TypeError, match=f"str, an int or a UUID, not {type(value).__name__}"):
        Person(value)


@pytest.mark.parametrize("name", ["a", "a" * 128, "Az09_.:@-", "..", "@", "room:1", "-"])
def test_room_id_accepts_1_to_128_plain_characters(name: str) -> None:
    assert Room(RoomId(name)).room_id == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 129,
        "the lobby",
        "a/b",
        "a+b",
        "lobby\n",
        "\nlobby",
        "é",
        "\u0661",
        "\uff41",
        "\0",
        "\ud800",
    ],
)
def test_room_id_rejects_invalid_text(name: str) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        Room(RoomId(name))

    assert rejected.value.field == "room_id"


@pytest.mark.parametrize("name", ["a", "a" * 64, "😀" * 64, " ", "018f-…"])
def test_client_message_id_accepts_1_to_64_characters(name: str) -> None:
    check_client_message_id(ClientMessageId(name))


@pytest.mark.parametrize("name", ["", "a" * 65, "\ud800"])
def test_client_message_id_rejects_invalid_text(name: str) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        check_client_message_id(ClientMessageId(name))

    assert rejected.value.field == "client_message_id"


@pytest.mark.parametrize("text", ["", "plain", "é", "日本", "😀", "\0", "\uffff"])
def test_valid_unicode_is_accepted(text: str) -> None:
    assert is_unicode(text)


@pytest.mark.parametrize("text", ["\ud800", "\udfff!", "a\udc80", "\ud83d\ude00"])
def test_surrogates_are_rejected_even_in_pairs(text: str) -> None:
    assert not is_unicode(text)
