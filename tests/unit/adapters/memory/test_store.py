"""The in-memory store as a whole."""

import pytest

from socketio_app.adapters.memory import MemoryStore
from socketio_app.domain.errors import InvalidPayload, Unavailable
from tests.builders import ADA, BOB, DEN, LOBBY, NOON, draft

pytestmark = pytest.mark.anyio


def store(
    kept_messages: int = 10, conversations: int = 10, rooms_per_user: int = 10
) -> MemoryStore:
    return MemoryStore(kept_messages, conversations, rooms_per_user)


def test_each_is_an_incarnation_of_its_own() -> None:
    assert store().epoch != store().epoch


async def test_it_stays_the_same_incarnation_whatever_is_forgotten() -> None:
    forgetting = store(kept_messages=1)
    epoch = forgetting.epoch

    for _ in range(3):
        await forgetting.messages.append(draft())

    assert forgetting.epoch == epoch


async def test_what_is_appended_is_undelivered() -> None:
    both = store()

    message = (await both.messages.append(draft())).message

    assert list(await both.deliveries.undelivered(BOB, 10)) == [message]


async def test_it_keeps_as_many_messages_as_it_is_told() -> None:
    small = store(kept_messages=2)

    for _ in range(3):
        await small.messages.append(draft())

    assert [message.seq for message in await small.deliveries.undelivered(BOB, 10)] == [2, 3]


async def test_it_keeps_as_many_conversations_as_it_is_told() -> None:
    with pytest.raises(Unavailable):
        await store(conversations=0).messages.append(draft())


async def test_it_lets_one_user_into_as_many_rooms_as_it_is_told() -> None:
    small = store(rooms_per_user=1)
    await small.rooms.join(LOBBY, ADA, NOON)

    with pytest.raises(InvalidPayload):
        await small.rooms.join(DEN, ADA, NOON)
