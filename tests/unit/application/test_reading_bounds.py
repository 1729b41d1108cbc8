"""Size limits of results: what does not fit is marked, never lost."""

import pytest

from socketio_app.application.commands import (
    CatchUp,
    FetchHistory,
    ListConversations,
    Position,
)
from socketio_app.application.reading import CONVERSATIONS_PER_READ, MAX_ANSWER_BYTES
from socketio_app.domain.conversations import Pair, Person
from socketio_app.domain.history import Window
from socketio_app.domain.identifiers import UserId
from tests.builders import ADA, BOB, EVE, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import HookedStore

pytestmark = pytest.mark.anyio

# Four bytes per character in UTF-8.
LARGE = "\N{GRINNING FACE}" * 4096
MANY = MAX_ANSWER_BYTES // len(LARGE.encode()) + 10


async def test_history_page_is_limited_in_bytes(live: LiveChat) -> None:
    ada = await live.connect(ADA)
    for _ in range(MANY):
        await ada.execute(personal(BOB, LARGE))

    newest = await ada.execute(FetchHistory(Person(BOB), Window(limit=200)))
    oldest = await ada.execute(FetchHistory(Person(BOB), Window(after_seq=0, limit=200)))

    for page in (newest, oldest):
        assert len(page.messages) == MANY - 10
        assert page.has_more
    assert newest.messages[-1].seq == MANY
    assert oldest.messages[0].seq == 1


async def test_catch_up_messages_that_do_not_fit_are_marked_limited(live: LiveChat) -> None:
    ada, eve = await live.connect(ADA), await live.connect(EVE)
    await eve.execute(personal(BOB, "the oldest news"))
    for _ in range(MANY):
        await ada.execute(personal(BOB, LARGE))
    bob = await live.connect(BOB)

    caught_up = await bob.execute(CatchUp(live.store.epoch, (), limit=200))

    from_ada, from_eve = caught_up.conversations
    assert len(from_ada.messages) == MANY - 10
    assert from_ada.messages[-1].seq == MANY
    assert from_ada.limited
    assert (list(from_eve.messages), from_eve.limited) == ([], True)


async def test_list_page_is_limited_in_bytes(
    live: LiveChat,
) -> None:
    ada = await live.connect(ADA)
    for number in range(MANY):
        await ada.execute(personal(UserId(f"user {number}"), LARGE))

    first = await ada.execute(ListConversations(limit=200))
    second = await ada.execute(ListConversations(limit=200, cursor=first.next_cursor))

    assert len(first.conversations) == MANY - 10
    assert len(second.conversations) == 10
    assert second.next_cursor is None
    listed = [each.state.conversation for each in (*first.conversations, *second.conversations)]
    assert len(set(listed)) == MANY


async def test_json_escapes_count_towards_limit(live: LiveChat) -> None:
    ada = await live.connect(ADA)
    for number in range(60):
        await ada.execute(personal(UserId(f"user {number}"), "\x01" * 4095 + "."))

    listed = await ada.execute(ListConversations(limit=200))

    assert len(listed.conversations) == MAX_ANSWER_BYTES // (6 * 4095 + 1)
    assert listed.next_cursor is not None


async def test_conversation_with_news_during_catch_up_is_not_skipped() -> None:
    oldest = UserId("user 0")

    async def send_once(call: str) -> None:
        if call == "of_user":
            calls.append(call)
            if len(calls) == 1:
                await devices[0].execute(personal(ADA, "meanwhile"))

    calls: list[str] = []
    live = LiveChat(store=HookedStore(after=send_once))
    devices: list[Device] = []
    for number in range(CONVERSATIONS_PER_READ + 1):
        devices.append(await live.connect(UserId(f"user {number}")))
        await devices[-1].execute(personal(ADA))
    ada = await live.connect(ADA)
    positions = [Position(Person(device.user_id), 1) for device in devices]

    caught_up = await ada.execute(CatchUp(live.store.epoch, positions))

    (missed,) = caught_up.conversations
    assert missed.state.conversation == Pair.of(ADA, oldest)
    assert [message.content for message in missed.messages] == ["meanwhile"]
