"""Targets and conversations."""

from socketio_app.domain.conversations import Pair, Person, Room, conversation_of
from socketio_app.domain.identifiers import RoomId, UserId
from tests.builders import ADA, BOB, EVE


def test_pair_ignores_order() -> None:
    assert Pair.of(ADA, BOB) == Pair.of(BOB, ADA)
    assert hash(Pair.of(ADA, BOB)) == hash(Pair.of(BOB, ADA))


def test_different_users_are_different_pairs() -> None:
    assert Pair.of(ADA, BOB) != Pair.of(ADA, EVE)


def test_user_ids_are_not_concatenated() -> None:
    assert Pair.of(UserId("a"), UserId("b:c")) != Pair.of(UserId("a:b"), UserId("c"))


def test_other_returns_other_user() -> None:
    pair = Pair.of(ADA, BOB)

    assert pair.other(ADA) == BOB
    assert pair.other(BOB) == ADA


def test_other_user_of_self_conversation_is_self() -> None:
    assert Pair.of(ADA, ADA).other(ADA) == ADA


def test_person_target_is_pair_with_speaker() -> None:
    assert conversation_of(ADA, Person(BOB)) == Pair.of(ADA, BOB)
    assert conversation_of(BOB, Person(ADA)) == Pair.of(ADA, BOB)


def test_room_target_is_same_conversation_for_all_users() -> None:
    lobby = Room(RoomId("lobby"))

    assert conversation_of(ADA, lobby) == conversation_of(BOB, lobby) == lobby


def test_room_named_like_user_is_different_conversation() -> None:
    room, pair = (conversation_of(BOB, target) for target in (Room(RoomId("ada")), Person(ADA)))

    assert room != pair
