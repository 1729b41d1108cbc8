"""What every delivery log does."""

import asyncio

import pytest

from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Pair, Room
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.messaging import Message
from tests.builders import ADA, BOB, EVE, draft

pytestmark = pytest.mark.anyio


async def send(store: Store, sender: UserId, recipient: UserId) -> Message:
    return (await store.messages.append(draft(Pair.of(sender, recipient), sender))).message


async def deliver(store: Store, *messages: Message) -> list[Message]:
    """Note deliveries. Those that were the first."""
    found: list[Message] = []
    settled = asyncio.Event()

    store.deliveries.delivered(messages, found.extend)
    # A store settles in the order of asking, and this one is always a first.
    sign = await send(store, UserId("sender of signs"), UserId("receiver of signs"))
    store.deliveries.delivered([sign], lambda _: settled.set())
    await settled.wait()
    return found


async def test_a_message_is_undelivered_until_it_was_delivered(store: Store) -> None:
    message = await send(store, ADA, BOB)
    assert list(await store.deliveries.undelivered(BOB, 10)) == [message]

    await deliver(store, message)

    assert list(await store.deliveries.undelivered(BOB, 10)) == []


async def test_ones_own_messages_are_not_waiting_for_oneself(store: Store) -> None:
    await send(store, ADA, BOB)

    assert list(await store.deliveries.undelivered(ADA, 10)) == []


async def test_a_note_to_oneself_waits_for_oneself(store: Store) -> None:
    message = await send(store, ADA, ADA)

    assert list(await store.deliveries.undelivered(ADA, 10)) == [message]


async def test_a_rooms_messages_wait_for_nobody(store: Store) -> None:
    lobby = Room(RoomId("lobby"))
    await store.rooms.join(lobby.room_id, BOB, draft().created_at)
    await store.messages.append(draft(lobby))

    assert list(await store.deliveries.undelivered(BOB, 10)) == []


async def test_delivery_is_noted_once(store: Store) -> None:
    message = await send(store, ADA, BOB)

    noted = [await deliver(store, message), await deliver(store, message)]

    assert noted == [[message], []]


async def test_delivery_only_moves_forward(store: Store) -> None:
    first, second = await send(store, ADA, BOB), await send(store, ADA, BOB)
    await deliver(store, second)

    assert await deliver(store, first) == []
    assert list(await store.deliveries.undelivered(BOB, 10)) == []


async def test_each_persons_delivery_is_their_own(store: Store) -> None:
    to_bob, to_ada = await send(store, ADA, BOB), await send(store, BOB, ADA)

    await deliver(store, to_ada)

    assert list(await store.deliveries.undelivered(BOB, 10)) == [to_bob]
    assert list(await store.deliveries.undelivered(ADA, 10)) == []


async def test_a_pairs_messages_come_in_their_order_from_the_first_undelivered_one(
    store: Store,
) -> None:
    delivered, *waiting = [await send(store, ADA, BOB) for _ in range(4)]
    await send(store, BOB, ADA)
    await deliver(store, delivered)

    assert list(await store.deliveries.undelivered(BOB, 2)) == waiting[:2]
    assert list(await store.deliveries.undelivered(BOB, 10)) == waiting


async def test_the_pair_with_the_newest_message_comes_first(store: Store) -> None:
    from_ada, from_eve = await send(store, ADA, BOB), await send(store, EVE, BOB)
    newest = await send(store, ADA, BOB)

    assert list(await store.deliveries.undelivered(BOB, 10)) == [from_ada, newest, from_eve]
    assert list(await store.deliveries.undelivered(BOB, 2)) == [from_ada, newest]


PEOPLE = [UserId(f"user{number:03}") for number in range(220)]


class TestManyPairs:
    """More than a store looks at before it notes what is delivered."""

    async def all_send(self, store: Store) -> list[Message]:
        return list(await asyncio.gather(*[send(store, each, BOB) for each in PEOPLE]))

    async def test_nothing_waits_when_all_is_delivered(self, store: Store) -> None:
        await deliver(store, *await self.all_send(store))

        for _ in range(3):
            assert list(await store.deliveries.undelivered(BOB, 500)) == []

    async def test_what_is_sent_afterwards_waits(self, store: Store) -> None:
        await deliver(store, *await self.all_send(store))
        await store.deliveries.undelivered(BOB, 500)
        message = await send(store, PEOPLE[7], BOB)

        for _ in range(3):
            assert list(await store.deliveries.undelivered(BOB, 500)) == [message]

    async def test_the_oldest_waits_behind_all_others(self, store: Store) -> None:
        oldest, *others = await self.all_send(store)
        await deliver(store, *others)

        for _ in range(3):
            assert list(await store.deliveries.undelivered(BOB, 500)) == [oldest]
        await deliver(store, oldest)
        assert list(await store.deliveries.undelivered(BOB, 500)) == []

    async def test_as_many_as_the_limit_wait_at_a_time(self, store: Store) -> None:
        messages = await self.all_send(store)
        found: list[Message] = []

        while some := list(await store.deliveries.undelivered(BOB, 90)):
            assert len(some) <= 90
            found += some
            await deliver(store, *some)

        assert {each.message_id for each in found} == {each.message_id for each in messages}
        assert len(found) == len(messages)

    async def test_ones_own_messages_in_between_do_not_wait(self, store: Store) -> None:
        first = await send(store, ADA, BOB)
        for _ in range(5):
            await send(store, BOB, ADA)
        last = await send(store, ADA, BOB)
        from_eve = await send(store, EVE, BOB)

        assert list(await store.deliveries.undelivered(BOB, 3)) == [from_eve, first, last]


async def test_a_limit_of_nothing_gives_nothing(store: Store) -> None:
    await send(store, ADA, BOB)

    assert list(await store.deliveries.undelivered(BOB, 0)) == []


async def test_of_messages_noted_together_those_that_are_first_are_told_in_order(
    store: Store,
) -> None:
    known, *fresh = [await send(store, ADA, BOB) for _ in range(3)]
    await deliver(store, known)

    assert await deliver(store, known, *fresh) == fresh


async def test_many_messages_of_several_conversations_are_noted_together_in_order(
    store: Store,
) -> None:
    messages = [await send(store, (ADA, EVE)[number % 2], BOB) for number in range(120)]
    to_ada = await send(store, BOB, ADA)
    known = messages[:11]
    await deliver(store, *known)

    noted = await deliver(store, *messages, to_ada)

    assert noted == [*messages[11:], to_ada]
    assert list(await store.deliveries.undelivered(BOB, 10)) == []
    assert list(await store.deliveries.undelivered(ADA, 10)) == []


async def test_of_two_messages_noted_one_after_the_other_both_are_told(store: Store) -> None:
    first, second = await send(store, ADA, BOB), await send(store, ADA, BOB)
    noted: list[Message] = []
    store.deliveries.delivered([first], noted.extend)

    await deliver(store, second)

    assert noted == [first]


async def test_the_noting_of_a_rooms_message_changes_nothing(store: Store) -> None:
    message = (await store.messages.append(draft(Room(RoomId("lobby"))))).message

    assert await deliver(store, message) == []
