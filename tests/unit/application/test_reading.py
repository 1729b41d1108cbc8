"""Reading: history and conversation lists."""

from collections.abc import Sequence

import pytest

from socketio_app.application.commands import (
    ConversationPage,
    FetchHistory,
    JoinRoom,
    LeaveRoom,
    ListConversations,
    MarkRead,
)
from socketio_app.application.events import MessageDelivered
from socketio_app.application.limits import Limits
from socketio_app.application.reading import MAX_UNREAD_COUNT
from socketio_app.domain.conversations import Conversation, Pair, Person, Room
from socketio_app.domain.errors import InvalidPayload, NotAMember
from socketio_app.domain.history import Window
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message
from tests.builders import ADA, BOB, EVE, LOBBY, draft, group, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import HookedStore

pytestmark = pytest.mark.anyio

IN_LOBBY, TO_ADA, TO_BOB = Room(LOBBY), Person(ADA), Person(BOB)

ADA_AND_BOB = Pair.of(ADA, BOB)


def contents(messages: Sequence[Message]) -> list[str]:
    return [message.content for message in messages]


def delivered(device: Device) -> list[int]:
    return [event.message.seq for event in device.of(MessageDelivered)]


class TestHistory:
    async def test_both_users_of_pair_can_read_history(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device, other in ((ada, BOB), (bob, ADA), (ada, BOB)):
            await device.execute(personal(other))

        page = await ada.execute(FetchHistory(TO_BOB))

        assert [message.seq for message in page.messages] == [1, 2, 3]
        assert await bob.execute(FetchHistory(TO_ADA)) == page

    async def test_other_users_cannot_read_history_of_pair(self, live: LiveChat) -> None:
        ada, eve = await live.connect(ADA), await live.connect(EVE)
        await ada.execute(personal(BOB))

        for target in (TO_ADA, TO_BOB):
            assert (await eve.execute(FetchHistory(target))).messages == []

    async def test_only_members_can_read_history_of_room(self, live: LiveChat) -> None:
        ada, eve = await live.connect(ADA), await live.connect(EVE)
        await ada.execute(JoinRoom(LOBBY))
        await ada.execute(group(LOBBY, "hello"))

        with pytest.raises(NotAMember):
            await eve.execute(FetchHistory(IN_LOBBY))

        await eve.execute(JoinRoom(LOBBY))
        assert contents((await eve.execute(FetchHistory(IN_LOBBY))).messages) == ["hello"]

    async def test_former_member_cannot_read_history(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(JoinRoom(LOBBY))
        await ada.execute(LeaveRoom(LOBBY))

        with pytest.raises(NotAMember):
            await ada.execute(FetchHistory(IN_LOBBY))

    async def test_messages_in_page_are_delivered(self) -> None:
        live = LiveChat(Limits(max_offline_push=0, rates={}))
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.execute(personal(BOB))
        bob = await live.connect(BOB)

        await bob.execute(FetchHistory(TO_ADA, Window(after_seq=0, limit=2)))
        bob.confirm()

        assert delivered(ada) == [1, 2]

    async def test_messages_read_by_host_are_not_delivered(self) -> None:
        live = LiveChat(Limits(max_offline_push=0, rates={}))
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))

        await live.host(BOB, FetchHistory(TO_ADA))

        assert delivered(ada) == []

    def test_before_seq_and_after_seq_are_mutually_exclusive(self) -> None:
        with pytest.raises(InvalidPayload):
            Window(before_seq=1, after_seq=1)

    @pytest.mark.parametrize("limit", [0, -1, 201])
    def test_invalid_limit_is_rejected(self, limit: int) -> None:
        with pytest.raises(InvalidPayload) as rejected:
            Window(limit=limit)

        assert rejected.value.field == "limit"

    @pytest.mark.parametrize("seq", [-1, 2**63])
    def test_invalid_seq_is_rejected(self, seq: int) -> None:
        with pytest.raises(InvalidPayload) as rejected:
            Window(before_seq=seq)

        assert rejected.value.field == "before_seq"


class TestConversations:
    async def listed(self, device: Device, **options: int) -> ConversationPage:
        return await device.execute(ListConversations(**options))

    async def test_summary_has_last_message_and_unread_count(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for content in ("one", "two"):
            await ada.execute(personal(BOB, content))
        await bob.execute(MarkRead(TO_ADA, 1))

        (summary,) = (await self.listed(bob)).conversations

        assert summary.state.conversation == ADA_AND_BOB
        assert (summary.state.last_seq, summary.state.read_seq) == (2, 1)
        assert summary.last_message is not None
        assert summary.last_message.content == "two"
        assert summary.unread_count == 1

    async def test_room_without_messages_has_no_last_message(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(JoinRoom(LOBBY))

        (summary,) = (await self.listed(ada)).conversations

        assert (summary.last_message, summary.unread_count) == (None, 0)

    async def test_list_is_consistent_snapshot(self) -> None:
        async def one_more_message(call: str) -> None:
            if call in {"of_user", "recent", "newest"}:
                await live.store.messages.append(draft(ADA_AND_BOB))

        live = LiveChat(store=HookedStore(after=one_more_message))
        await live.host(ADA, personal(BOB))

        (summary,) = (await live.host(BOB, ListConversations())).conversations

        assert summary.last_message is not None
        assert summary.last_message.seq == summary.state.last_seq == 1
        assert summary.unread_count == 1

    async def test_list_is_paginated(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        others = [UserId(f"user {number}") for number in range(5)]
        for other in others:
            await ada.execute(personal(other))

        seen: list[Conversation] = []
        page = await self.listed(ada, limit=2)
        while True:
            seen += [summary.state.conversation for summary in page.conversations]
            if page.next_cursor is None:
                break
            page = await self.listed(ada, limit=2, cursor=page.next_cursor)

        assert seen == [Pair.of(ADA, other) for other in reversed(others)]

    async def test_full_page_without_more_is_last(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))

        assert (await self.listed(ada, limit=1)).next_cursor is None

    async def test_listing_delivers_nothing(self) -> None:
        live = LiveChat(Limits(max_offline_push=0, rates={}))
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))

        bob = await live.connect(BOB)
        await self.listed(bob)
        bob.confirm()

        assert delivered(ada) == []

    async def test_sender_sees_delivered_seq(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))
        ada.close()
        (await live.connect(BOB)).confirm()

        (summary,) = (await self.listed(await live.connect(ADA))).conversations

        assert summary.state.delivered_seq == 1

    async def test_unread_count_is_capped(self, live: LiveChat) -> None:
        for _ in range(MAX_UNREAD_COUNT + 5):
            await live.host(ADA, personal(BOB))

        (summary,) = (await self.listed(await live.connect(BOB))).conversations

        assert summary.unread_count == MAX_UNREAD_COUNT
