"""Consecutive messages of a connection are stored together, and sent in order."""

import asyncio
from collections.abc import Callable

import pytest

from socketio_app.application.commands import Actor, SendMessage
from socketio_app.application.events import MessageSent
from socketio_app.application.limits import Limits
from socketio_app.domain.errors import Conflict, Unavailable
from socketio_app.domain.messaging import Stored
from socketio_app.domain.rates import Rate, Rates
from tests.builders import ADA, BOB, EVE, LOBBY, group, personal
from tests.chat_harness import Device, LiveChat
from tests.grouping import MAX_WAITING, UNSTORABLE, GroupingStore

pytestmark = pytest.mark.anyio


class Grouped:
    """Ada's connection to a chat whose store commits when the test says so."""

    def __init__(self, live: LiveChat, store: GroupingStore, ada: Device, bob: Device) -> None:
        self.live, self.store, self.ada, self.bob = live, store, ada, bob
        self.outcomes: list[Stored | Exception] = []

    def begin(self, command: SendMessage) -> bool:
        actor = Actor(ADA, self.ada.connection_id)
        return self.live.chat.grouped_sends.begin(actor, command, self.outcomes.append)

    async def until_sent(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.outcomes) < count:
                await asyncio.sleep(0)

    async def commit(self, count: int) -> None:
        self.store.messages.may_commit.set()
        await self.until_sent(count)

    def received(self) -> list[str]:
        return [event.message.content for event in self.bob.of(MessageSent)]


async def grouped(limits: Limits | None = None) -> Grouped:
    store = GroupingStore()
    live = LiveChat(limits, store)
    return Grouped(live, store, await live.connect(ADA), await live.connect(BOB))


def contents(outcomes: list[Stored | Exception]) -> list[str]:
    return [each.message.content for each in outcomes if isinstance(each, Stored)]


async def test_messages_share_a_transaction_and_are_sent_in_order() -> None:
    chat = await grouped()
    sent = [f"message {number}" for number in range(10)]

    begun = [chat.begin(personal(BOB, content)) for content in sent]
    await chat.commit(10)

    assert begun == [True] * 10
    assert chat.store.messages.batches == [10]
    assert contents(chat.outcomes) == chat.received() == sent


async def test_nothing_is_sent_before_it_is_stored() -> None:
    chat = await grouped()

    chat.begin(personal(BOB))
    while not chat.store.messages.batches:
        await asyncio.sleep(0)

    assert chat.outcomes == []
    assert chat.received() == []


async def test_each_message_has_its_own_error() -> None:
    chat = await grouped()

    for content in ("one", UNSTORABLE, "three"):
        chat.begin(personal(BOB, content))
    await chat.commit(3)

    assert [type(each) for each in chat.outcomes] == [Stored, ValueError, Stored]
    assert chat.received() == ["one", "three"]


async def test_retry_in_the_same_transaction_is_a_duplicate() -> None:
    chat = await grouped()

    for _ in range(3):
        chat.begin(personal(BOB, "hello", client_message_id="m1"))
    await chat.commit(3)

    first, *retries = chat.outcomes
    assert isinstance(first, Stored)
    assert not first.duplicate
    assert retries == [Stored(first.message, duplicate=True)] * 2
    assert chat.received() == ["hello"]


async def test_other_content_with_the_same_id_is_a_conflict() -> None:
    chat = await grouped()

    chat.begin(personal(BOB, "hello", client_message_id="m1"))
    chat.begin(personal(BOB, "other", client_message_id="m1"))
    await chat.commit(2)

    assert [type(each) for each in chat.outcomes] == [Stored, Conflict]
    assert chat.received() == ["hello"]


async def test_failed_transaction_fails_its_messages_and_retries_are_sent() -> None:
    chat = await grouped()
    chat.store.messages.is_down = True
    for name in ("m1", "m2"):
        chat.begin(personal(BOB, name, client_message_id=name))
    await chat.commit(2)
    assert [type(each) for each in chat.outcomes] == [Unavailable] * 2
    assert chat.received() == []

    chat.store.messages.is_down = False
    for name in ("m1", "m2"):
        chat.begin(personal(BOB, name, client_message_id=name))
    await chat.commit(4)

    assert contents(chat.outcomes) == chat.received() == ["m1", "m2"]


async def test_messages_are_sent_in_order_with_those_of_other_connections() -> None:
    chat = await grouped()
    bobs = asyncio.create_task(chat.bob.execute(personal(ADA, "from bob")))
    await asyncio.sleep(0)

    chat.begin(personal(BOB, "from ada"))
    await chat.commit(1)
    answer = await bobs

    ada_saw = [event.message.seq for event in chat.ada.of(MessageSent)]
    assert answer.message.seq == 1
    assert ada_saw == [1]
    assert chat.received() == ["from ada"]


@pytest.mark.parametrize(
    "command",
    [personal(BOB, " "), personal(BOB, "x" * 5000), group(LOBBY)],
    ids=["blank", "too long", "to a room"],
)
async def test_commands_that_wait_or_fail_do_not_begin(command: SendMessage) -> None:
    chat = await grouped()

    assert not chat.begin(command)

    assert chat.store.messages.commits.waiting == 0


async def test_message_over_the_rate_does_not_begin_and_is_not_counted() -> None:
    rates = Rates(None, Rate(per_second=1, burst=2))
    chat = await grouped(Limits(rates={"send": rates}))

    begun = [chat.begin(personal(BOB)) for _ in range(5)]

    assert begun == [True, True, False, False, False]


async def test_invalid_message_does_not_count_towards_the_rate() -> None:
    rates = Rates(None, Rate(per_second=1, burst=1))
    chat = await grouped(Limits(rates={"send": rates}))

    assert [chat.begin(personal(BOB, content)) for content in (" ", "hello")] == [False, True]


async def test_message_does_not_begin_while_too_many_wait() -> None:
    chat = await grouped()
    for _ in range(MAX_WAITING):
        chat.begin(personal(EVE))

    assert not chat.begin(personal(EVE))


async def test_message_does_not_begin_after_the_chat_has_closed() -> None:
    chat = await grouped()
    chat.live.chat.close()

    assert not chat.begin(personal(BOB))


async def test_error_while_publishing_is_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = await grouped()
    publish: Callable[..., None] = chat.live.broadcast.publish

    def fail_once(*arguments: object) -> None:
        monkeypatch.setattr(chat.live.broadcast, "publish", publish)
        raise LookupError

    monkeypatch.setattr(chat.live.broadcast, "publish", fail_once)
    for content in ("one", "two"):
        chat.begin(personal(BOB, content))
    await chat.commit(2)

    assert [type(each) for each in chat.outcomes] == [LookupError, Stored]
    assert chat.received() == ["two"]
