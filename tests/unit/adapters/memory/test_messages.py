"""The bounds of the in-memory store; tests/contracts tests everything else."""

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
    return MemoryMessages(max_messages=3, conversations=2)


async def test_messages_up_to_the_limit_are_kept(messages: MemoryMessages) -> None:
    sent = [(await messages.append(draft(TO_BOB))).message for _ in range(3)]

    assert list(await messages.undelivered(BOB, 10)) == sent


async def test_oldest_message_beyond_the_limit_is_dropped(messages: MemoryMessages) -> None:
    _, *kept = [(await messages.append(draft(TO_BOB))).message for _ in range(4)]

    assert list(await messages.undelivered(BOB, 10)) == kept


async def test_limit_applies_to_all_conversations_together(messages: MemoryMessages) -> None:
    to_bob = [(await messages.append(draft(TO_BOB))).message for _ in range(2)]
    to_eve = [(await messages.append(draft(TO_EVE))).message for _ in range(2)]

    assert list(await messages.undelivered(BOB, 10)) == to_bob[1:]
    assert list(await messages.undelivered(EVE, 10)) == to_eve


async def test_seq_continues_after_all_messages_were_dropped(messages: MemoryMessages) -> None:
    await messages.append(draft(TO_BOB))
    for _ in range(3):
        await messages.append(draft(TO_EVE))
    assert list(await messages.undelivered(BOB, 10)) == []

    assert await messages.last_seq(TO_BOB) == 1
    assert (await messages.append(draft(TO_BOB))).message.seq == 2


async def test_client_message_id_is_dropped_with_its_message(
    messages: MemoryMessages,
) -> None:
    for number in range(4):
        await messages.append(draft(TO_BOB, client_message_id=f"m{number}"))

    retries = [await messages.append(draft(TO_BOB, client_message_id=f"m{n}")) for n in (3, 0)]

    assert [retry.duplicate for retry in retries] == [True, False]
    assert retries[1].message.seq == 5


async def test_retry_drops_no_message(messages: MemoryMessages) -> None:
    sent = [
        (await messages.append(draft(TO_BOB, client_message_id=f"m{number}"))).message
        for number in range(3)
    ]

    for _ in range(10):
        await messages.append(draft(TO_BOB, client_message_id="m0"))

    assert list(await messages.undelivered(BOB, 10)) == sent


async def test_dropped_message_can_still_be_delivered(
    messages: MemoryMessages,
) -> None:
    dropped, *_ = [(await messages.append(draft(TO_BOB))).message for _ in range(4)]

    delivered: list[Message] = []
    for _ in range(2):
        messages.delivered([dropped], delivered.extend)

    assert delivered == [dropped]


@pytest.mark.parametrize("another", [TO_EVE, Room(DEN)])
async def test_conversation_beyond_the_limit_is_rejected(
    messages: MemoryMessages, another: Conversation
) -> None:
    await messages.append(draft(TO_BOB))
    await messages.append(draft(Room(LOBBY)))

    with pytest.raises(Unavailable):
        await messages.append(draft(another))

    assert await messages.last_seq(another) == 0


async def test_existing_conversations_accept_messages_at_the_limit(
    messages: MemoryMessages,
) -> None:
    await messages.append(draft(TO_BOB))
    await messages.append(draft(Room(LOBBY)))
    with pytest.raises(Unavailable):
        await messages.append(draft(TO_EVE))

    seqs = [(await messages.append(draft(each))).message.seq for each in (TO_BOB, Room(LOBBY))]

    assert seqs == [2, 2]


async def test_last_seq_creates_no_conversation(messages: MemoryMessages) -> None:
    for conversation in (TO_BOB, TO_EVE, Room(LOBBY)):
        assert await messages.last_seq(conversation) == 0

    for conversation in (Room(LOBBY), Room(DEN)):
        await messages.append(draft(conversation))


async def test_new_room_beyond_the_limit_of_conversations_is_rejected() -> None:
    store = MemoryStore(max_messages=3, conversations=0, rooms_per_user=1)

    with pytest.raises(Unavailable):
        await store.rooms.join(LOBBY, ADA, NOON)

    assert not await store.rooms.is_member(LOBBY, ADA)
