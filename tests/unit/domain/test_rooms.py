"""Room membership."""

import pytest

from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import RoomId
from socketio_app.domain.rooms import Joined, Left, Memberships, check_room_count
from tests.builders import ADA, BOB

LOBBY, DEN, ATTIC = RoomId("lobby"), RoomId("den"), RoomId("attic")


@pytest.fixture
def memberships() -> Memberships:
    return Memberships(rooms_per_user=2)


def test_first_join_creates_room(memberships: Memberships) -> None:
    assert memberships.member_count(LOBBY) == 0

    assert memberships.join(LOBBY, ADA) == Joined(joined=True, member_count=1)

    assert memberships.is_member(LOBBY, ADA)


def test_any_user_can_join(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)

    assert memberships.join(LOBBY, BOB) == Joined(joined=True, member_count=2)


def test_joining_again_changes_nothing(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)

    assert memberships.join(LOBBY, ADA) == Joined(joined=False, member_count=1)


def test_leaving_ends_membership(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)
    memberships.join(LOBBY, BOB)

    assert memberships.leave(LOBBY, ADA) == Left(left=True, member_count=1)

    assert not memberships.is_member(LOBBY, ADA)
    assert memberships.is_member(LOBBY, BOB)


@pytest.mark.parametrize("room_id", [LOBBY, DEN])
def test_leaving_without_membership_changes_nothing(
    memberships: Memberships, room_id: RoomId
) -> None:
    memberships.join(LOBBY, BOB)
    members = memberships.member_count(room_id)

    assert memberships.leave(room_id, ADA) == Left(left=False, member_count=members)


def test_last_leave_removes_room(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)

    assert memberships.leave(LOBBY, ADA) == Left(left=True, member_count=0)

    assert memberships.join(LOBBY, BOB) == Joined(joined=True, member_count=1)


def test_rooms_are_listed_in_the_order_of_joining(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)
    memberships.join(DEN, ADA)
    memberships.join(LOBBY, ADA)

    assert list(memberships.rooms_of(ADA)) == [LOBBY, DEN]
    assert list(memberships.rooms_of(BOB)) == []


def test_rejoined_room_is_listed_last(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)
    memberships.join(DEN, ADA)
    memberships.leave(LOBBY, ADA)
    memberships.join(LOBBY, ADA)

    assert list(memberships.rooms_of(ADA)) == [DEN, LOBBY]


def test_rooms_per_user_are_limited(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)
    memberships.join(DEN, ADA)

    with pytest.raises(InvalidPayload) as rejected:
        memberships.join(ATTIC, ADA)

    assert rejected.value.field == "room_id"
    assert not memberships.is_member(ATTIC, ADA)
    assert memberships.member_count(ATTIC) == 0
    assert list(memberships.rooms_of(ADA)) == [LOBBY, DEN]


def test_room_limit_is_per_user(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)
    memberships.join(DEN, ADA)

    assert memberships.join(ATTIC, BOB).joined


def test_rejoining_does_not_count_towards_limit(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)
    memberships.join(DEN, ADA)

    assert memberships.join(LOBBY, ADA) == Joined(joined=False, member_count=1)


def test_leaving_frees_slot_for_another_room(memberships: Memberships) -> None:
    memberships.join(LOBBY, ADA)
    memberships.join(DEN, ADA)
    memberships.leave(LOBBY, ADA)

    assert memberships.join(ATTIC, ADA).joined


def test_room_count_below_limit_is_accepted() -> None:
    check_room_count(rooms=1, limit=2)


@pytest.mark.parametrize("rooms", [2, 3])
def test_room_count_at_limit_is_rejected(rooms: int) -> None:
    with pytest.raises(InvalidPayload, match=f"you are in {rooms} rooms"):
        check_room_count(rooms, limit=2)
