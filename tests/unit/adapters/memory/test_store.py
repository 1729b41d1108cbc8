"""The in-memory store as a whole."""

import pytest

from socketio_app.adapters.memory import MemoryStore
from socketio_app.domain.errors import InvalidPayload, Unavailable
from tests.builders import ADA, BOB, DEN, LOBBY, NOON, draft

pytestmark = pytest.mark.anyio


def store(max_messages: int = 10, conversations: int = 10, rooms_per_user: int = 10) -> MemoryStore:
    return MemoryStore(max_messages, conversations, rooms_per_user)


def test_each_store_has_its_own_epoch() -> None:
    assert store().epoch != store().epoch


async def test_epoch_stays_the_same_when_messages_are_dropped() -> None:
    small = store(max_messages=1)
    epoch = small.epoch

    for _ in range(3):
        await small.messages.append(draft())

    assert small.epoch == epoch


async def test_appended_message_is_undelivered() -> None:
    memory = store()

    message = (await memory.messages.append(draft())).message

    assert list(await memory.deliveries.undelivered(BOB, 10)) == [message]


async def test_number_of_messages_is_limited() -> None:
    small = store(max_messages=2)

    for _ in range(3):
        await small.messages.append(draft())

    assert [message.seq for message in await small.deliveries.undelivered(BOB, 10)] == [2, 3]


async def test_number_of_conversations_is_limited() -> None:
    with pytest.raises(Unavailable):
        await store(conversations=0).messages.append(draft())


async def test_number_of_rooms_per_user_is_limited() -> None:
    small = store(rooms_per_user=1)
    await small.rooms.join(LOBBY, ADA, NOON)

    with pytest.raises(InvalidPayload):
        await small.rooms.join(DEN, ADA, NOON)
