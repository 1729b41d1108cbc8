"""The wire contract without a transport: payloads in, payloads out."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from socketio_app.adapters.wire import outgoing, registry
from socketio_app.adapters.wire.times import time
from socketio_app.application.commands import (
    CatchUp,
    CaughtUp,
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
from socketio_app.application.events import Event
from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.conversations import Person, Room
from socketio_app.domain.errors import InvalidPayload, RateLimited, UnknownCommand
from socketio_app.domain.history import Window
from socketio_app.domain.identifiers import ClientMessageId, RoomId, UserId

BOB, LOBBY = Person(UserId("bob")), Room(RoomId("lobby"))


@pytest.mark.parametrize(
    ("event", "payload", "field"),
    [
        ("send_personal_message", {"content": "hello"}, "to_user_id"),
        ("send_personal_message", {"to_user_id": "bob"}, "content"),
        ("send_personal_message", {"to_user_id": "", "content": "hello"}, "to_user_id"),
        ("send_personal_message", {"to_user_id": "b" * 129, "content": "hello"}, "to_user_id"),
        ("send_personal_message", {"to_user_id": 1.5, "content": "hello"}, "to_user_id"),
        ("send_personal_message", {"to_user_id": True, "content": "hello"}, "to_user_id"),
        ("send_personal_message", {"to_user_id": None, "content": "hello"}, "to_user_id"),
        ("send_personal_message", {"to_user_id": "bob", "content": 7}, "content"),
        (
            "send_personal_message",
            {"to_user_id": "bob", "content": "hello", "client_message_id": ""},
            "client_message_id",
        ),
        (
            "send_personal_message",
            {"to_user_id": "bob", "content": "hello", "client_message_id": "m" * 65},
            "client_message_id",
        ),
        (
            "send_personal_message",
            {"to_user_id": "bob", "content": "hello", "client_message_id": 7},
            "client_message_id",
        ),
        ("send_group_message", {"content": "hello"}, "room_id"),
        ("send_group_message", {"room_id": 7, "content": "hello"}, "room_id"),
        ("send_group_message", {"room_id": "lobby"}, "content"),
        ("join_room", {}, "room_id"),
        ("join_room", {"room_id": ""}, "room_id"),
        ("join_room", {"room_id": "r" * 129}, "room_id"),
        ("join_room", {"room_id": "the lobby"}, "room_id"),
        ("join_room", {"room_id": "lobby\n"}, "room_id"),
        ("join_room", {"room_id": "é"}, "room_id"),
        ("leave_room", {"room_id": ["lobby"]}, "room_id"),
        ("typing_start", {}, "to_user_id"),
        ("typing_start", {"to_user_id": "bob", "room_id": "lobby"}, "to_user_id"),
        ("typing_stop", {"room_id": 7}, "room_id"),
    ],
)
def test_invalid_field_is_rejected_by_name(event: str, payload: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        registry.parse(event, [payload])

    assert rejected.value.field == field


@pytest.mark.parametrize("payloads", [[], ["lobby"], [[]], [None], [{}, {}]], ids=repr)
def test_payload_that_is_not_one_object_is_rejected(payloads: list[object]) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        registry.parse("join_room", payloads)

    assert rejected.value.field is None


def test_unknown_event_is_unknown_command() -> None:
    with pytest.raises(UnknownCommand):
        registry.parse("connect", [{}])


@pytest.mark.parametrize(
    ("event", "payload", "command"),
    [
        (
            "send_personal_message",
            {"to_user_id": "bob", "content": "hello", "client_message_id": "m1"},
            SendMessage(BOB, "hello", ClientMessageId("m1")),
        ),
        (
            "send_personal_message",
            {"to_user_id": 7, "content": "hello", "client_message_id": None, "other": [1]},
            SendMessage(Person(UserId("7")), "hello"),
        ),
        ("send_group_message", {"room_id": "lobby", "content": "hi"}, SendMessage(LOBBY, "hi")),
        ("join_room", {"room_id": "lobby"}, JoinRoom(RoomId("lobby"))),
        ("leave_room", {"room_id": "lobby"}, LeaveRoom(RoomId("lobby"))),
        ("typing_start", {"to_user_id": "bob"}, StartTyping(BOB)),
        ("typing_start", {"room_id": "lobby", "to_user_id": None}, StartTyping(LOBBY)),
        ("typing_stop", {"room_id": "lobby"}, StopTyping(LOBBY)),
        ("fetch_history", {"to_user_id": "bob"}, FetchHistory(BOB)),
        (
            "fetch_history",
            {"room_id": "lobby", "before_seq": 9, "limit": 200},
            FetchHistory(LOBBY, Window(before_seq=9, limit=200)),
        ),
        (
            "fetch_history",
            {"room_id": "lobby", "after_seq": 0},
            FetchHistory(LOBBY, Window(after_seq=0)),
        ),
        ("list_conversations", {}, ListConversations()),
        ("list_conversations", {"limit": 1, "cursor": "17"}, ListConversations(1, 17)),
        ("catch_up", {"epoch": "e", "positions": []}, CatchUp("e", [])),
        (
            "catch_up",
            {"epoch": "e", "positions": [{"target": {"to_user_id": 7}, "seq": 3}], "limit": 9},
            CatchUp("e", [Position(Person(UserId("7")), 3)], 9),
        ),
        ("catch_up", {"since": "e.7"}, CatchUp("e", [], since=CatchUpCursor("e", 7, 7, 7))),
        (
            "catch_up",
            {"since": "e.7.9.8", "epoch": "f", "positions": [], "limit": 9},
            CatchUp("f", [], 9, CatchUpCursor("e", 7, 9, 8)),
        ),
        # Pagination always advances, whatever cursor a client makes up.
        ("catch_up", {"since": "e.7.2.3"}, CatchUp("e", [], since=CatchUpCursor("e", 7, 7, 7))),
        ("mark_read", {"room_id": "lobby", "seq": 3}, MarkRead(LOBBY, 3)),
    ],
)
def test_each_command_is_decoded_from_payload(
    event: str, payload: dict[str, Any], command: object
) -> None:
    assert registry.parse(event, [payload]) == command


def test_time_is_utc_with_milliseconds() -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)

    assert time(noon) == "2026-11-23T12:00:00.000Z"
    assert time(noon + timedelta(milliseconds=123)) == "2026-11-23T12:00:00.123Z"


def test_rate_limit_error_has_retry_delay() -> None:
    assert outgoing.error_payload(RateLimited("too fast", retry_after_ms=40)) == {
        "code": "rate_limited",
        "message": "too fast",
        "retry_after_ms": 40,
    }


def test_unknown_command_in_error_event_is_truncated() -> None:
    told = outgoing.error_event({"code": "unknown_command"}, "x" * 60_000, [])

    assert told["command"] == "x" * 64


@pytest.mark.parametrize("given", ["", "m" * 65, 7, "\ud800"], ids=repr)
def test_error_event_does_not_echo_invalid_client_message_id(given: object) -> None:
    told = outgoing.error_event({"code": "x"}, "send_group_message", [{"client_message_id": given}])

    assert "client_message_id" not in told


@pytest.mark.parametrize(
    ("command", "payload", "field"),
    [
        ("fetch_history", {"to_user_id": "bob", "limit": 201}, "limit"),
        ("fetch_history", {"to_user_id": "bob", "limit": 0}, "limit"),
        ("fetch_history", {"to_user_id": "bob", "before_seq": -1}, "before_seq"),
        ("fetch_history", {"to_user_id": "bob", "before_seq": 1, "after_seq": 1}, "after_seq"),
        ("fetch_history", {"to_user_id": "bob", "after_seq": "1"}, "after_seq"),
        ("fetch_history", {}, "to_user_id"),
        ("list_conversations", {"limit": 201}, "limit"),
        ("list_conversations", {"cursor": "x"}, "cursor"),
        ("catch_up", {"positions": []}, "epoch"),
        ("catch_up", {"epoch": "e"}, "positions"),
        ("catch_up", {"since": ""}, "since"),
        ("catch_up", {"since": "e"}, "since"),
        ("catch_up", {"since": "e.-1"}, "since"),
        ("catch_up", {"since": "e.1.2"}, "since"),
        ("catch_up", {"since": "e.\u0661"}, "since"),
        ("catch_up", {"since": "e." + "9" * 19}, "since"),
        ("catch_up", {"since": "e" * 33 + ".1"}, "since"),
        ("catch_up", {"since": 7}, "since"),
        ("catch_up", {"epoch": "e", "positions": [{"room_id": "a"}]}, "target"),
        ("mark_read", {"to_user_id": "bob"}, "seq"),
        ("mark_read", {"to_user_id": "bob", "seq": 2**70}, "seq"),
    ],
)
def test_read_parameter_out_of_bounds_is_rejected_by_name(
    command: str, payload: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        registry.parse(command, [payload])

    assert rejected.value.field == field


def test_every_event_has_payload() -> None:
    assert set(outgoing.EVENTS) == set(get_args(Event))


@pytest.mark.parametrize(
    "since", [CatchUpCursor.at("e", 0), CatchUpCursor.at("0f" * 16, 7), CatchUpCursor("e", 7, 9, 8)]
)
def test_cursor_survives_round_trip(since: CatchUpCursor) -> None:
    text = registry.acknowledgement(
        "catch_up", CaughtUp(recovered=True, since=since), UserId("ada")
    )["since"]

    command = registry.parse("catch_up", [{"since": text}])

    assert command == CatchUp(since.epoch, [], since=since)


OPTIONAL: dict[str, tuple[dict[str, Any], list[str]]] = {
    "send_personal_message": ({"to_user_id": "bob", "content": "hello"}, ["client_message_id"]),
    "send_group_message": ({"room_id": "lobby", "content": "hello"}, ["client_message_id"]),
    "typing_start": ({"room_id": "lobby"}, ["to_user_id"]),
    "typing_stop": ({"to_user_id": "bob"}, ["room_id"]),
    "fetch_history": ({"to_user_id": "bob"}, ["room_id", "before_seq", "after_seq", "limit"]),
    "list_conversations": ({}, ["limit", "cursor"]),
    "catch_up": ({"since": "e.7"}, ["epoch", "positions", "limit"]),
    "mark_read": ({"room_id": "lobby", "seq": 3}, ["to_user_id"]),
}
"""The required and the optional fields of each command."""


def read(command: str, payload: dict[str, Any]) -> object:
    """Decode a command, from text and from a parsed object; both must give the same result."""
    decoded = registry.PAYLOADS[command].decode(msgspec.json.encode(payload))
    assert registry.parse(command, [decoded]) == registry.parse(command, [payload])
    return registry.parse(command, [decoded])


@pytest.mark.parametrize("command", OPTIONAL)
def test_null_is_omitted_optional_field(command: str) -> None:
    needed, optional = OPTIONAL[command]

    for field in optional:
        assert read(command, {**needed, field: None}) == read(command, needed)


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        ("send_personal_message", {"to_user_id": 7, "content": "hello"}),
        ("typing_start", {"to_user_id": 7}),
        ("fetch_history", {"room_id": "lobby", "before_seq": 9, "limit": 3}),
        ("fetch_history", {"room_id": "lobby", "after_seq": 9}),
        ("list_conversations", {"limit": 3}),
        ("catch_up", {"since": "e.7", "limit": 3}),
        ("mark_read", {"to_user_id": 7, "seq": 3}),
    ],
)
def test_whole_number_can_be_float(command: str, payload: dict[str, Any]) -> None:
    numbers = {name: value for name, value in payload.items() if isinstance(value, int)}
    with_point = {name: float(value) for name, value in numbers.items()}

    assert read(command, {**payload, **with_point}) == read(command, payload)
    for name in numbers:
        with pytest.raises(InvalidPayload) as rejected:
            read(command, {**payload, name: 1.5})
        assert rejected.value.field == name


@pytest.mark.parametrize("number", [10**128, -(10**5000), 10**5000], ids=["128", "-5000", "5000"])
def test_number_with_too_many_digits_for_user_id_is_rejected(number: int) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        registry.parse("typing_start", [{"to_user_id": number}])

    assert rejected.value.field == "to_user_id"


def test_position_can_be_whole_float() -> None:
    def caught_up(seq: float) -> object:
        position = {"target": {"to_user_id": 7.0}, "seq": seq}
        return read("catch_up", {"epoch": "e", "positions": [position]})

    assert caught_up(3.0) == caught_up(3)
    assert CatchUp("e", [Position(Person(UserId("7")), 3)]) == caught_up(3.0)
