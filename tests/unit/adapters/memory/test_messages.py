"""What the in-memory store does when its memory ends. The rest is in tests/contracts."""

import pytest

from socketio_app.adapters.memory import MemoryStore
from socketio_app.adapters.memory.messages import MemoryMessages
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.messaging import Message
from tests.builders import ADA, BOB, DEN, EVE, LOBBY, NOON, draft

pytestmark = pytest.mark.anyio

TO_BOB, TO_EVE = Pair.of(ADA, BOB), Pair.of(ADA, EVE)


@pytest.fixture
def messages() -> MemoryMessages:
    return MemoryMessages(kept_messages=3, conversations=2)


async def test_as_many_messages_as_may_be_are_kept(messages: MemoryMessages) -> None:
    sent = [(await messages.append(draft(TO_BOB))).message for _ in range(3)]

    assert list(await messages.undelivered(BOB, 10)) == sent


async def test_one_message_more_and_the_oldest_is_forgotten(messages: MemoryMessages) -> None:
    _, *kept = [(await messages.append(draft(TO_BOB))).message for _ in range(4)]

    assert list(await messages.undelivered(BOB, 10)) == kept


async def test_the_oldest_is_that_of_all_conversations(messages: MemoryMessages) -> None:
    to_bob = [(await messages.append(draft(TO_BOB))).message for _ in range(2)]
    to_eve = [(await messages.append(draft(TO_EVE))).message for _ in range(2)]

    assert list(await messages.undelivered(BOB, 10)) == to_bob[1:]
    assert list(await messages.undelivered(EVE, 10)) == to_eve


async def test_places_go_on_in_a_conversation_that_was_forgotten(messages: MemoryMessages) -> None:
    await messages.append(draft(TO_BOB))
    for _ in range(3):
        await messages.append(draft(TO_EVE))
    assert list(await messages.undelivered(BOB, 10)) == []

    assert await messages.last_seq(TO_BOB) == 1
    assert (await messages.append(draft(TO_BOB))).message.seq == 2


async def test_what_a_forgotten_message_knew_of_retries_is_forgotten_with_it(
    messages: MemoryMessages,
) -> None:
    for number in range(4):
        await messages.append(draft(TO_BOB, client_message_id=f"m{number}"))

    retries = [await messages.append(draft(TO_BOB, client_message_id=f"m{n}")) for n in (3, 0)]

    assert [retry.duplicate for retry in retries] == [True, False]
    assert retries[1].message.seq == 5


async def test_a_retry_uses_no_memory(messages: MemoryMessages) -> None:
    sent = [
        (await messages.append(draft(TO_BOB, client_message_id=f"m{number}"))).message
        for number in range(3)
    ]

    for _ in range(10):
        await messages.append(draft(TO_BOB, client_message_id="m0"))

    assert list(await messages.undelivered(BOB, 10)) == sent


async def test_a_message_that_was_forgotten_can_still_be_delivered(
    messages: MemoryMessages,
) -> None:
    forgotten, *_ = [(await messages.append(draft(TO_BOB))).message for _ in range(4)]

    noted: list[Message] = []
    for _ in range(2):
        messages.delivered([forgotten], noted.extend)

    assert noted == [forgotten]


@pytest.mark.parametrize("another", [TO_EVE, Room(DEN)])
async def test_one_conversation_too_many_is_refused(
    messages: MemoryMessages, another: Conversation
) -> None:
    await messages.append(draft(TO_BOB))
    await messages.append(draft(Room(LOBBY)))

    with pytest.raises(Unavailable):
        await messages.append(draft(another))

    assert await messages.last_seq(another) == 0


async def test_the_conversations_that_there_are_go_on(messages: MemoryMessages) -> None:
    await messages.append(draft(TO_BOB))
    await messages.append(draft(Room(LOBBY)))
    with pytest.raises(Unavailable):
        await messages.append(draft(TO_EVE))

    places = [(await messages.append(draft(each))).message.seq for each in (TO_BOB, Room(LOBBY))]

    assert places == [2, 2]


async def test_asking_for_a_place_begins_no_conversation(messages: MemoryMessages) -> None:
    for conversation in (TO_BOB, TO_EVE, Room(LOBBY)):
        assert await messages.last_seq(conversation) == 0

    for conversation in (Room(LOBBY), Room(DEN)):
        await messages.append(draft(conversation))


async def test_a_new_room_is_refused_where_there_is_space_for_no_conversation() -> None:
    store = MemoryStore(kept_messages=3, conversations=0, rooms_per_user=1)

    with pytest.raises(Unavailable):
        await store.rooms.join(LOBBY, ADA, NOON)

    assert not await store.rooms.is_member(LOBBY, ADA)
