"""Contract of every delivery log."""

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
    """Record deliveries; return the messages that were delivered for the first time."""
    found: list[Message] = []
    settled = asyncio.Event()

    store.deliveries.delivered(messages, found.extend)
    # A store settles deliveries in the order of the calls, and this one is always new.
    marker = await send(store, UserId("marker sender"), UserId("marker recipient"))
    store.deliveries.delivered([marker], lambda _: settled.set())
    await settled.wait()
    return found


async def test_message_is_undelivered_until_it_is_delivered(store: Store) -> None:
    message = await send(store, ADA, BOB)
    assert list(await store.deliveries.undelivered(BOB, 10)) == [message]

    await deliver(store, message)

    assert list(await store.deliveries.undelivered(BOB, 10)) == []


async def test_own_messages_are_not_undelivered_to_the_sender(store: Store) -> None:
    await send(store, ADA, BOB)

    assert list(await store.deliveries.undelivered(ADA, 10)) == []


async def test_message_to_oneself_is_undelivered(store: Store) -> None:
    message = await send(store, ADA, ADA)

    assert list(await store.deliveries.undelivered(ADA, 10)) == [message]


async def test_room_messages_are_never_undelivered(store: Store) -> None:
    lobby = Room(RoomId("lobby"))
    await store.rooms.join(lobby.room_id, BOB, draft().created_at)
    await store.messages.append(draft(lobby))

    assert list(await store.deliveries.undelivered(BOB, 10)) == []


async def test_delivery_is_reported_once(store: Store) -> None:
    message = await send(store, ADA, BOB)

    reported = [await deliver(store, message), await deliver(store, message)]

    assert reported == [[message], []]


async def test_delivery_only_moves_forward(store: Store) -> None:
    first, second = await send(store, ADA, BOB), await send(store, ADA, BOB)
    await deliver(store, second)

    assert await deliver(store, first) == []
    assert list(await store.deliveries.undelivered(BOB, 10)) == []


async def test_each_user_has_their_own_cursor(store: Store) -> None:
    to_bob, to_ada = await send(store, ADA, BOB), await send(store, BOB, ADA)

    await deliver(store, to_ada)

    assert list(await store.deliveries.undelivered(BOB, 10)) == [to_bob]
    assert list(await store.deliveries.undelivered(ADA, 10)) == []


async def test_undelivered_messages_of_a_pair_are_in_order_of_seq(
    store: Store,
) -> None:
    delivered, *waiting = [await send(store, ADA, BOB) for _ in range(4)]
    await send(store, BOB, ADA)
    await deliver(store, delivered)

    assert list(await store.deliveries.undelivered(BOB, 2)) == waiting[:2]
    assert list(await store.deliveries.undelivered(BOB, 10)) == waiting


async def test_pair_with_the_newest_message_is_first(store: Store) -> None:
    from_ada, from_eve = await send(store, ADA, BOB), await send(store, EVE, BOB)
    newest = await send(store, ADA, BOB)

    assert list(await store.deliveries.undelivered(BOB, 10)) == [from_ada, newest, from_eve]
    assert list(await store.deliveries.undelivered(BOB, 2)) == [from_ada, newest]


PEOPLE = [UserId(f"user{number:03}") for number in range(220)]


class TestManyPairs:
    """More pairs than a store examines before it moves `delivered_activity`."""

    async def all_send(self, store: Store) -> list[Message]:
        return list(await asyncio.gather(*[send(store, each, BOB) for each in PEOPLE]))

    async def test_nothing_is_undelivered_after_all_messages_were_delivered(
        self, store: Store
    ) -> None:
        await deliver(store, *await self.all_send(store))

        for _ in range(3):
            assert list(await store.deliveries.undelivered(BOB, 500)) == []

    async def test_later_message_is_undelivered(self, store: Store) -> None:
        await deliver(store, *await self.all_send(store))
        await store.deliveries.undelivered(BOB, 500)
        message = await send(store, PEOPLE[7], BOB)

        for _ in range(3):
            assert list(await store.deliveries.undelivered(BOB, 500)) == [message]

    async def test_oldest_message_stays_undelivered_after_all_others_were_delivered(
        self, store: Store
    ) -> None:
        oldest, *others = await self.all_send(store)
        await deliver(store, *others)

        for _ in range(3):
            assert list(await store.deliveries.undelivered(BOB, 500)) == [oldest]
        await deliver(store, oldest)
        assert list(await store.deliveries.undelivered(BOB, 500)) == []

    async def test_number_of_undelivered_messages_is_limited(self, store: Store) -> None:
        messages = await self.all_send(store)
        found: list[Message] = []

        while some := list(await store.deliveries.undelivered(BOB, 90)):
            assert len(some) <= 90
            found += some
            await deliver(store, *some)

        assert {each.message_id for each in found} == {each.message_id for each in messages}
        assert len(found) == len(messages)

    async def test_own_messages_in_between_are_not_undelivered(self, store: Store) -> None:
        first = await send(store, ADA, BOB)
        for _ in range(5):
            await send(store, BOB, ADA)
        last = await send(store, ADA, BOB)
        from_eve = await send(store, EVE, BOB)

        assert list(await store.deliveries.undelivered(BOB, 3)) == [from_eve, first, last]


async def test_limit_of_0_returns_nothing(store: Store) -> None:
    await send(store, ADA, BOB)

    assert list(await store.deliveries.undelivered(BOB, 0)) == []


async def test_new_deliveries_of_one_call_are_reported_in_order(
    store: Store,
) -> None:
    known, *fresh = [await send(store, ADA, BOB) for _ in range(3)]
    await deliver(store, known)

    assert await deliver(store, known, *fresh) == fresh


async def test_many_new_deliveries_of_several_conversations_are_reported_in_order(
    store: Store,
) -> None:
    messages = [await send(store, (ADA, EVE)[number % 2], BOB) for number in range(120)]
    to_ada = await send(store, BOB, ADA)
    known = messages[:11]
    await deliver(store, *known)

    reported = await deliver(store, *messages, to_ada)

    assert reported == [*messages[11:], to_ada]
    assert list(await store.deliveries.undelivered(BOB, 10)) == []
    assert list(await store.deliveries.undelivered(ADA, 10)) == []


async def test_deliveries_of_two_calls_are_both_reported(store: Store) -> None:
    first, second = await send(store, ADA, BOB), await send(store, ADA, BOB)
    reported: list[Message] = []
    store.deliveries.delivered([first], reported.extend)

    await deliver(store, second)

    assert reported == [first]


async def test_delivery_of_a_room_message_is_ignored(store: Store) -> None:
    message = (await store.messages.append(draft(Room(RoomId("lobby"))))).message

    assert await deliver(store, message) == []


async def test_message_is_still_undelivered_until_it_is_delivered(store: Store) -> None:
    first, second = await send(store, ADA, BOB), await send(store, ADA, BOB)
    answer, to_eve = await send(store, BOB, ADA), await send(store, ADA, EVE)
    to_oneself = await send(store, ADA, ADA)
    messages = [first, answer, second, to_eve, to_oneself]
    assert list(await store.deliveries.still_undelivered(messages)) == messages

    await deliver(store, first, to_eve)

    assert list(await store.deliveries.still_undelivered(messages)) == [answer, second, to_oneself]


async def test_room_message_is_never_still_undelivered(store: Store) -> None:
    message = (await store.messages.append(draft(Room(RoomId("lobby"))))).message

    assert list(await store.deliveries.still_undelivered([message])) == []
    assert list(await store.deliveries.still_undelivered([])) == []
