"""Contract of every room repository."""

import asyncio
from itertools import accumulate

import pytest

from socketio_app.application.commands import RoomJoined
from socketio_app.application.ports import Store
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.rooms import Left, Membership
from tests.builders import ADA, BOB, NOON
from tests.contracts.conftest import ROOMS_PER_USER

pytestmark = pytest.mark.anyio

LOBBY = RoomId("lobby")


async def test_first_join_creates_the_room(store: Store) -> None:
    assert await store.rooms.member_count(LOBBY) == 0

    assert await store.rooms.join(LOBBY, ADA, NOON) == RoomJoined(LOBBY, 0, 1, True)

    assert await store.rooms.is_member(LOBBY, ADA)


async def test_joining_twice_changes_nothing(store: Store) -> None:
    await store.rooms.join(LOBBY, ADA, NOON)
    await store.rooms.join(LOBBY, BOB, NOON)

    assert await store.rooms.join(LOBBY, ADA, NOON) == RoomJoined(LOBBY, 0, 2, False)


async def test_leaving_ends_membership(store: Store) -> None:
    await store.rooms.join(LOBBY, ADA, NOON)
    await store.rooms.join(LOBBY, BOB, NOON)

    assert await store.rooms.leave(LOBBY, ADA) == Left(left=True, member_count=1)

    assert not await store.rooms.is_member(LOBBY, ADA)
    assert await store.rooms.is_member(LOBBY, BOB)


async def test_leaving_without_membership_changes_nothing(store: Store) -> None:
    await store.rooms.join(LOBBY, BOB, NOON)

    assert await store.rooms.leave(LOBBY, ADA) == Left(left=False, member_count=1)


async def test_rooms_of_a_user_are_in_the_order_of_joining(store: Store) -> None:
    for name in ("b", "c", "a"):
        await store.rooms.join(RoomId(name), ADA, NOON)

    assert list(await store.rooms.rooms_of(ADA)) == ["b", "c", "a"]
    assert list(await store.rooms.rooms_of(BOB)) == []


async def test_number_of_rooms_per_user_is_limited(store: Store) -> None:
    rooms = [RoomId(f"room{number}") for number in range(ROOMS_PER_USER)]
    for room_id in rooms:
        await store.rooms.join(room_id, ADA, NOON)

    with pytest.raises(InvalidPayload) as error:
        await store.rooms.join(LOBBY, ADA, NOON)

    assert error.value.field == "room_id"
    assert not await store.rooms.is_member(LOBBY, ADA)
    assert not (await store.rooms.join(rooms[0], ADA, NOON)).joined


async def test_leaving_a_room_allows_joining_another(store: Store) -> None:
    for number in range(ROOMS_PER_USER):
        await store.rooms.join(RoomId(f"room{number}"), ADA, NOON)
    await store.rooms.leave(RoomId("room0"), ADA)

    assert (await store.rooms.join(LOBBY, ADA, NOON)).joined


async def test_concurrent_joins_create_one_membership(store: Store) -> None:
    joins = await asyncio.gather(*[store.rooms.join(LOBBY, ADA, NOON) for _ in range(10)])

    assert sum(each.joined for each in joins) == 1
    assert await store.rooms.member_count(LOBBY) == 1


async def test_concurrent_joins_and_leaves_return_distinct_counts(store: Store) -> None:
    users = [UserId(f"user{number}") for number in range(12)]

    joins = await asyncio.gather(*[store.rooms.join(LOBBY, user, NOON) for user in users])
    leaves = await asyncio.gather(*[store.rooms.leave(LOBBY, user) for user in users])

    assert sorted(each.member_count for each in joins) == list(range(1, 13))
    assert sorted(each.member_count for each in leaves) == list(range(12))
    assert await store.rooms.member_count(LOBBY) == 0


async def test_repeated_join_and_leave_do_not_change_the_count(store: Store) -> None:
    await store.rooms.join(LOBBY, ADA, NOON)
    await store.rooms.join(LOBBY, ADA, NOON)
    await store.rooms.leave(LOBBY, BOB)

    assert await store.rooms.member_count(LOBBY) == 1


async def test_membership_is_returned_with_the_count(store: Store) -> None:
    assert await store.rooms.membership(LOBBY, ADA) == Membership(False, 0)
    await store.rooms.join(LOBBY, ADA, NOON)

    assert await store.rooms.membership(LOBBY, ADA) == Membership(True, 1)
    assert await store.rooms.membership(LOBBY, BOB) == Membership(False, 1)


async def test_joins_and_leaves_return_in_the_order_of_their_counts(store: Store) -> None:
    returned: list[tuple[int, int]] = []

    async def join_and_leave(user_id: UserId) -> None:
        for _ in range(3):
            joined = await store.rooms.join(LOBBY, user_id, NOON)
            returned.append((1, joined.member_count))
            left = await store.rooms.leave(LOBBY, user_id)
            returned.append((-1, left.member_count))

    await asyncio.gather(*[join_and_leave(UserId(f"user-{number}")) for number in range(8)])

    assert [count for _, count in returned] == list(accumulate(change for change, _ in returned))
