"""The contract of `AppendQueue`, of every store that has one."""

import asyncio

import pytest

from socketio_app.application.ports import Store
from socketio_app.application.store_capabilities import AppendQueue
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.history import Window
from socketio_app.domain.messaging import Draft, Stored
from tests.builders import ADA, BOB, EVE, LOBBY, draft

pytestmark = pytest.mark.anyio

ROOM = Room(LOBBY)


@pytest.fixture
def queue(store: Store) -> AppendQueue:
    found = store.capabilities.append_queue
    if found is None:
        pytest.skip("appends do not wait for a transaction")
    return found


class Outcomes:
    """The outcomes of appends, in the order in which they came."""

    def __init__(self, queue: AppendQueue) -> None:
        self._queue = queue
        self._expected = 0
        self.found: list[Stored | Exception] = []
        self.all_found = asyncio.Event()

    def append(self, *drafts: Draft) -> None:
        self._expected += len(drafts)
        for each in drafts:
            self._queue.append_soon(each, self.note)

    def note(self, outcome: Stored | Exception) -> None:
        self.found.append(outcome)
        if len(self.found) == self._expected:
            self.all_found.set()

    async def stored(self) -> list[Stored]:
        """Wait for all outcomes, none of which is an error."""
        async with asyncio.timeout(60):
            await self.all_found.wait()
        return [each for each in self.found if isinstance(each, Stored)]


async def test_outcomes_come_later_and_in_order(queue: AppendQueue) -> None:
    outcomes = Outcomes(queue)
    drafts = [draft(content=str(number)) for number in range(50)]

    outcomes.append(*drafts)
    assert outcomes.found == []
    stored = await outcomes.stored()

    assert stored == [Stored(each.at(seq), duplicate=False) for seq, each in enumerate(drafts, 1)]


async def test_messages_are_stored_when_their_outcomes_come(
    store: Store, queue: AppendQueue
) -> None:
    outcomes = Outcomes(queue)
    outcomes.append(draft(content="one"), draft(content="two"))
    stored = await outcomes.stored()

    page = await store.messages.page(Pair.of(ADA, BOB), Window(limit=10))

    assert list(page.messages) == [each.message for each in stored]


async def test_conversations_of_one_batch_have_seqs_of_their_own(queue: AppendQueue) -> None:
    outcomes = Outcomes(queue)
    targets: list[Conversation] = [
        Pair.of(ADA, BOB),
        ROOM,
        Pair.of(ADA, EVE),
        Pair.of(ADA, BOB),
        ROOM,
    ]

    outcomes.append(*[draft(target) for target in targets])
    stored = await outcomes.stored()

    assert [each.message.conversation for each in stored] == targets
    assert [each.message.seq for each in stored] == [1, 1, 1, 2, 2]


async def test_retries_in_one_batch_are_duplicates_of_the_first(queue: AppendQueue) -> None:
    outcomes = Outcomes(queue)

    outcomes.append(*[draft(content="x", client_message_id=name) for name in ("a", "b", "a", "a")])
    stored = await outcomes.stored()

    assert [each.duplicate for each in stored] == [False, False, True, True]
    assert stored[2].message == stored[3].message == stored[0].message
    assert [each.message.seq for each in stored] == [1, 2, 1, 1]


async def test_order_holds_between_outcomes_and_returns_of_append(
    store: Store, queue: AppendQueue
) -> None:
    outcomes = Outcomes(queue)

    async def append() -> None:
        outcomes.note(await store.messages.append(draft()))

    outcomes.append(draft(), draft())
    others = [asyncio.create_task(append()) for _ in range(3)]
    await asyncio.sleep(0)
    outcomes.append(draft(), draft())
    await asyncio.gather(*others)
    await outcomes.stored()
    while len(outcomes.found) < 7:
        await asyncio.sleep(0)

    assert [each.message.seq for each in outcomes.found if isinstance(each, Stored)] == [
        1, 2, 3, 4, 5, 6, 7,
    ]  # fmt: skip
