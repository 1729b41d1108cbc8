"""Contract of every message log: reading."""

import pytest

from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Pair, Room
from socketio_app.domain.history import Page, Window
from socketio_app.domain.messaging import Message
from tests.builders import ADA, BOB, DEN, EVE, LOBBY, draft

pytestmark = pytest.mark.anyio

IN_LOBBY, IN_DEN, TO_BOB = Room(LOBBY), Room(DEN), Pair.of(ADA, BOB)


@pytest.fixture
async def said(store: Store) -> list[Message]:
    """Return ten messages of the lobby, with messages of another room in between."""
    messages = []
    for number in range(10):
        messages.append((await store.messages.append(draft(IN_LOBBY, content=f"{number}"))).message)
        await store.messages.append(draft(IN_DEN))
    return messages


async def read(store: Store, window: Window) -> Page:
    page = await store.messages.page(IN_LOBBY, window)
    return Page(list(page.messages), page.has_more, page.last_seq)


async def test_page_without_a_seq_has_the_newest_messages(
    store: Store, said: list[Message]
) -> None:
    assert await read(store, Window(limit=3)) == Page(said[7:], has_more=True, last_seq=10)


async def test_page_before_a_seq_has_the_newest_messages_before_it(
    store: Store, said: list[Message]
) -> None:
    window = Window(before_seq=8, limit=3)

    assert await read(store, window) == Page(said[4:7], has_more=True, last_seq=10)


async def test_page_after_a_seq_has_the_next_messages(store: Store, said: list[Message]) -> None:
    window = Window(after_seq=2, limit=3)

    assert await read(store, window) == Page(said[2:5], has_more=True, last_seq=10)


@pytest.mark.parametrize(
    ("window", "first", "last"),
    [
        (Window(limit=10), 0, 10),
        (Window(before_seq=4, limit=3), 0, 3),
        (Window(before_seq=2, limit=3), 0, 1),
        (Window(before_seq=1), 0, 0),
        (Window(before_seq=0), 0, 0),
        (Window(before_seq=2**63 - 1), 0, 10),
        (Window(after_seq=7, limit=3), 7, 10),
        (Window(after_seq=0, limit=200), 0, 10),
        (Window(after_seq=10), 10, 10),
        (Window(after_seq=2**63 - 1), 10, 10),
    ],
)
async def test_page_at_the_end_has_no_more(
    store: Store, said: list[Message], window: Window, first: int, last: int
) -> None:
    assert await read(store, window) == Page(said[first:last], has_more=False, last_seq=10)


async def test_pages_together_are_the_whole_conversation(store: Store, said: list[Message]) -> None:
    backwards: list[Message] = []
    page = await store.messages.page(IN_LOBBY, Window(limit=3))
    while page.messages:
        backwards = [*page.messages, *backwards]
        page = await store.messages.page(IN_LOBBY, Window(before_seq=page.messages[0].seq, limit=3))

    assert backwards == said


async def test_page_of_a_conversation_without_messages_is_empty(store: Store) -> None:
    for window in (Window(), Window(before_seq=5), Window(after_seq=0)):
        page = await store.messages.page(TO_BOB, window)

        assert (list(page.messages), page.has_more, page.last_seq) == ([], False, 0)


async def test_reading_creates_no_conversation(store: Store) -> None:
    await store.messages.page(TO_BOB, Window())
    await store.messages.newest([(TO_BOB, 0)], 5)

    assert list(await store.conversations.of_user(ADA, 10)) == []


async def test_newest_reads_several_conversations(store: Store, said: list[Message]) -> None:
    to_bob = (await store.messages.append(draft(TO_BOB))).message

    newest = await store.messages.newest([(TO_BOB, 0), (IN_LOBBY, 6), (Pair.of(ADA, EVE), 0)], 3)

    assert [list(each) for each in newest] == [[to_bob], said[7:], []]


async def test_newest_has_messages_after_the_seq(store: Store, said: list[Message]) -> None:
    newest = await store.messages.newest([(IN_LOBBY, 8), (IN_LOBBY, 10), (IN_LOBBY, 11)], 3)

    assert [list(each) for each in newest] == [said[8:], [], []]


async def test_newest_of_no_conversations_is_empty(store: Store) -> None:
    assert list(await store.messages.newest([], 3)) == []
