"""Contract of every message log: appending."""

import asyncio

import pytest

from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import RoomId
from tests.builders import ADA, BOB, EVE, draft

pytestmark = pytest.mark.anyio

LOBBY = Room(RoomId("lobby"))


async def test_stored_message_is_the_draft_with_its_seq(store: Store) -> None:
    given = draft(content=' \u0000 "é" 👩‍👩‍👧 ', client_message_id="m1")

    stored = await store.messages.append(given)

    assert stored.message == given.at(1)
    assert not stored.duplicate


async def test_seq_increases_by_one_in_each_conversation(store: Store) -> None:
    pair = Pair.of(ADA, BOB)
    conversations: list[Conversation] = [LOBBY, pair, LOBBY, pair, LOBBY]

    stored = [await store.messages.append(draft(each)) for each in conversations]

    assert [each.message.seq for each in stored] == [1, 1, 2, 2, 3]


async def test_both_users_of_a_pair_write_to_one_conversation(store: Store) -> None:
    await store.messages.append(draft(Pair.of(ADA, BOB), ADA))

    stored = await store.messages.append(draft(Pair.of(BOB, ADA), BOB))

    assert stored.message.seq == 2


async def test_retry_with_same_client_message_id_stores_nothing(store: Store) -> None:
    first = await store.messages.append(draft(client_message_id="m1", content="first"))

    retry = await store.messages.append(draft(client_message_id="m1", content="changed"))

    assert retry.duplicate
    assert retry.message == first.message
    assert await store.messages.last_seq(Pair.of(ADA, BOB)) == 1


async def test_client_message_id_is_scoped_to_the_sender(store: Store) -> None:
    await store.messages.append(draft(from_user_id=ADA, client_message_id="m1"))

    stored = await store.messages.append(draft(from_user_id=BOB, client_message_id="m1"))

    assert not stored.duplicate


async def test_client_message_id_is_scoped_to_the_conversation(store: Store) -> None:
    await store.messages.append(draft(Pair.of(ADA, BOB), client_message_id="m1"))

    stored = await store.messages.append(draft(Pair.of(ADA, EVE), client_message_id="m1"))

    assert not stored.duplicate


async def test_messages_without_a_client_message_id_are_never_duplicates(store: Store) -> None:
    stored = [await store.messages.append(draft(content="the same")) for _ in range(3)]

    assert [each.message.seq for each in stored] == [1, 2, 3]


async def test_concurrent_appends_get_seqs_without_gaps(store: Store) -> None:
    stored = await asyncio.gather(*[store.messages.append(draft(LOBBY)) for _ in range(50)])

    assert sorted(each.message.seq for each in stored) == list(range(1, 51))


async def test_concurrent_retries_store_one_message(store: Store) -> None:
    retries = [store.messages.append(draft(LOBBY, client_message_id="m1")) for _ in range(20)]

    stored = await asyncio.gather(*retries)

    assert sum(not each.duplicate for each in stored) == 1
    assert len({each.message.message_id for each in stored}) == 1


async def test_appends_return_in_the_order_of_their_seqs(store: Store) -> None:
    returned: list[int] = []

    async def append() -> None:
        returned.append((await store.messages.append(draft(LOBBY))).message.seq)

    await asyncio.gather(*[append() for _ in range(50)])

    assert returned == list(range(1, 51))


async def test_last_seq_is_that_of_the_newest_message(store: Store) -> None:
    assert await store.messages.last_seq(LOBBY) == 0
    for _ in range(3):
        await store.messages.append(draft(LOBBY))

    assert await store.messages.last_seq(LOBBY) == 3


async def test_room_and_pair_with_similar_names_are_two_conversations(store: Store) -> None:
    await store.messages.append(draft(Room(RoomId("ada:bob"))))
    await store.messages.append(draft(Room(RoomId("adabob"))))

    assert await store.messages.last_seq(Pair.of(ADA, BOB)) == 0
