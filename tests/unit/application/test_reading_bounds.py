"""An answer has a size; what does not fit is marked, and never lost."""

import pytest

from socketio_app.application.commands import (
    CatchUp,
    FetchHistory,
    ListConversations,
    Position,
)
from socketio_app.application.reading import MAX_ANSWER_BYTES, STANDINGS_AT_ONCE
from socketio_app.domain.conversations import Pair, Person
from socketio_app.domain.history import Window
from socketio_app.domain.identifiers import UserId
from tests.builders import ADA, BOB, EVE, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import HookedStore

pytestmark = pytest.mark.anyio

# Four bytes each in UTF-8.
LARGE = "\N{GRINNING FACE}" * 4096
MANY = MAX_ANSWER_BYTES // len(LARGE.encode()) + 10


async def test_a_page_is_cut_where_it_would_be_too_large(live: LiveChat) -> None:
    ada = await live.connect(ADA)
    for _ in range(MANY):
        await ada.do(personal(BOB, LARGE))

    newest = await ada.do(FetchHistory(Person(BOB), Window(limit=200)))
    oldest = await ada.do(FetchHistory(Person(BOB), Window(after_seq=0, limit=200)))

    for page in (newest, oldest):
        assert len(page.messages) == MANY - 10
        assert page.has_more
    assert newest.messages[-1].seq == MANY
    assert oldest.messages[0].seq == 1


async def test_what_does_not_fit_when_catching_up_is_marked(live: LiveChat) -> None:
    ada, eve = await live.connect(ADA), await live.connect(EVE)
    await eve.do(personal(BOB, "the oldest news"))
    for _ in range(MANY):
        await ada.do(personal(BOB, LARGE))
    bob = await live.connect(BOB)

    caught_up = await bob.do(CatchUp(live.store.epoch, (), limit=200))

    from_ada, from_eve = caught_up.conversations
    assert len(from_ada.messages) == MANY - 10
    assert from_ada.messages[-1].seq == MANY
    assert from_ada.limited
    assert (list(from_eve.messages), from_eve.limited) == ([], True)


async def test_a_list_is_cut_where_it_would_be_too_large_and_goes_on_from_there(
    live: LiveChat,
) -> None:
    ada = await live.connect(ADA)
    for number in range(MANY):
        await ada.do(personal(UserId(f"user {number}"), LARGE))

    first = await ada.do(ListConversations(limit=200))
    second = await ada.do(ListConversations(limit=200, cursor=first.next_cursor))

    assert len(first.conversations) == MANY - 10
    assert len(second.conversations) == 10
    assert second.next_cursor is None
    listed = [each.state.conversation for each in (*first.conversations, *second.conversations)]
    assert len(set(listed)) == MANY


async def test_what_json_makes_of_content_counts(live: LiveChat) -> None:
    ada = await live.connect(ADA)
    for number in range(60):
        await ada.do(personal(UserId(f"user {number}"), "\x01" * 4095 + "."))

    listed = await ada.do(ListConversations(limit=200))

    assert len(listed.conversations) == MAX_ANSWER_BYTES // (6 * 4095 + 1)
    assert listed.next_cursor is not None


async def test_what_gets_news_while_one_catches_up_is_not_passed_over() -> None:
    oldest = UserId("user 0")

    async def say_something(call: str) -> None:
        if call == "of_user":
            looks.append(call)
            if len(looks) == 1:
                await devices[0].do(personal(ADA, "meanwhile"))

    looks: list[str] = []
    live = LiveChat(store=HookedStore(after=say_something))
    devices: list[Device] = []
    for number in range(STANDINGS_AT_ONCE + 1):
        devices.append(await live.connect(UserId(f"user {number}")))
        await devices[-1].do(personal(ADA))
    ada = await live.connect(ADA)
    has_all = [Position(Person(device.user_id), 1) for device in devices]

    caught_up = await ada.do(CatchUp(live.store.epoch, has_all))

    (missed,) = caught_up.conversations
    assert missed.state.conversation == Pair.of(ADA, oldest)
    assert [message.content for message in missed.messages] == ["meanwhile"]
