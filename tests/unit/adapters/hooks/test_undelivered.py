"""Messages that are not delivered in time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from socketio_app.adapters.hooks import undelivered
from socketio_app.adapters.hooks.undelivered import RETRY_DELAY, UndeliveredMessages
from socketio_app.domain.conversations import Pair
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.messaging import Message
from tests.builders import ADA, BOB, draft
from tests.clocks import ManualClock
from tests.stores import HookedStore

pytestmark = pytest.mark.anyio

AFTER = timedelta(seconds=10)


class Watch:
    """Undelivered messages of a store that can be unavailable."""

    def __init__(self) -> None:
        self.is_available = True
        self.lookups = 0
        self.store = HookedStore(before=self._before)
        self.clock = ManualClock()
        self.reported: list[Message] = []
        self.dropped: list[Message] = []
        self.watched = UndeliveredMessages(
            self.store.deliveries, self.clock, AFTER, self.reported.append, self.dropped.append
        )

    async def _before(self, call: str) -> None:
        if call == "still_undelivered":
            self.lookups += 1
            if not self.is_available:
                raise Unavailable("down")

    async def send(self) -> Message:
        stored = await self.store.messages.append(draft(Pair.of(ADA, BOB)))
        self.watched.sent(stored.message)
        return stored.message

    async def until(self, met: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not met():
                await asyncio.sleep(0)


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    watch = Watch()
    yield watch
    watch.watched.clear()


async def test_message_is_reported_once_after_the_time(watch: Watch) -> None:
    first = await watch.send()
    watch.clock.advance(AFTER / 2)
    second = await watch.send()
    watch.clock.advance(AFTER / 2 - timedelta(milliseconds=1))
    assert watch.lookups == 0

    watch.clock.advance(timedelta(milliseconds=1))
    await watch.until(lambda: watch.reported)
    assert watch.reported == [first]
    watch.clock.advance(AFTER)
    await watch.until(lambda: len(watch.reported) == 2)

    assert watch.reported == [first, second]


async def test_delivered_message_is_not_looked_up(watch: Watch) -> None:
    watch.watched.delivered(await watch.send())

    watch.clock.advance(2 * AFTER)
    last = await watch.send()
    watch.clock.advance(AFTER)
    await watch.until(lambda: watch.reported)

    assert watch.reported == [last]
    assert watch.lookups == 1


async def test_message_that_another_process_delivered_is_not_reported(watch: Watch) -> None:
    first = await watch.send()
    watch.store.deliveries.delivered([first], lambda _: None)
    await watch.store.deliveries.settled()
    second = await watch.send()

    watch.clock.advance(AFTER)
    await watch.until(lambda: watch.reported)

    assert watch.reported == [second]


async def test_lookup_is_repeated_until_the_store_is_available(watch: Watch) -> None:
    watch.is_available = False
    message = await watch.send()
    watch.clock.advance(AFTER)
    await watch.until(lambda: watch.lookups == 1)
    await asyncio.sleep(0)

    watch.is_available = True
    watch.clock.advance(RETRY_DELAY)
    await watch.until(lambda: watch.reported)

    assert watch.reported == [message]


async def test_number_of_watched_messages_is_bounded(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undelivered, "MAX_WATCHED", 1)
    first = await watch.send()
    second = await watch.send()

    watch.clock.advance(AFTER)
    await watch.until(lambda: watch.reported)

    assert watch.reported == [first]
    assert watch.dropped == [second]


async def test_large_number_is_looked_up_in_batches(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undelivered, "MAX_BATCH", 10)
    messages = [await watch.send() for _ in range(25)]

    watch.clock.advance(AFTER)
    await watch.until(lambda: len(watch.reported) == 25)

    assert watch.reported == messages
    assert watch.lookups == 3
