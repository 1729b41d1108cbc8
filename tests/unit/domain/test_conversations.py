"""Which conversation a target stands for."""

from socketio_app.domain.conversations import Pair, Person, Room, conversation_of
from socketio_app.domain.identifiers import RoomId, UserId
from tests.builders import ADA, BOB, EVE


def test_a_pair_is_the_same_whoever_is_named_first() -> None:
    assert Pair.of(ADA, BOB) == Pair.of(BOB, ADA)
    assert hash(Pair.of(ADA, BOB)) == hash(Pair.of(BOB, ADA))


def test_other_people_are_another_pair() -> None:
    assert Pair.of(ADA, BOB) != Pair.of(ADA, EVE)


def test_names_do_not_run_into_each_other() -> None:
    assert Pair.of(UserId("a"), UserId("b:c")) != Pair.of(UserId("a:b"), UserId("c"))


def test_each_of_a_pair_talks_to_the_other() -> None:
    pair = Pair.of(ADA, BOB)

    assert pair.other(ADA) == BOB
    assert pair.other(BOB) == ADA


def test_who_talks_to_themselves_is_their_own_other() -> None:
    assert Pair.of(ADA, ADA).other(ADA) == ADA


def test_a_person_means_the_pair_with_the_speaker() -> None:
    assert conversation_of(ADA, Person(BOB)) == Pair.of(ADA, BOB)
    assert conversation_of(BOB, Person(ADA)) == Pair.of(ADA, BOB)


def test_a_room_is_the_same_conversation_for_everybody() -> None:
    lobby = Room(RoomId("lobby"))

    assert conversation_of(ADA, lobby) == conversation_of(BOB, lobby) == lobby


def test_a_room_that_is_called_like_a_person_is_another_conversation() -> None:
    room, pair = (conversation_of(BOB, target) for target in (Room(RoomId("ada")), Person(ADA)))

    assert room != pair
