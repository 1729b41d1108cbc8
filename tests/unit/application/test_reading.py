"""Reading: history, conversation lists, catching up and read receipts."""

from collections.abc import Sequence

import pytest

from socketio_app.application.commands import (
    CatchUp,
    CaughtUp,
    ConversationPage,
    FetchHistory,
    JoinRoom,
    LeaveRoom,
    ListConversations,
    MarkRead,
    Position,
)
from socketio_app.application.events import MessageDelivered, MessageRead
from socketio_app.application.limits import Limits
from socketio_app.application.reading import CONVERSATIONS_PER_READ, MAX_UNREAD_COUNT
from socketio_app.domain.conversations import Conversation, Pair, Person, Room
from socketio_app.domain.errors import InvalidPayload, NotAMember
from socketio_app.domain.history import Window
from socketio_app.domain.identifiers import RoomId, UserId
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


def reads(device: Device) -> list[tuple[UserId, Conversation, int]]:
    return [(each.user_id, each.conversation, each.seq) for each in device.of(MessageRead)]


async def missed(device: Device, live: LiveChat, limit: int = 50, **seqs: int) -> CaughtUp:
    """Catch up; keyword arguments are positions by user, or of the lobby."""
    positions = [
        Position(IN_LOBBY if name == "lobby" else Person(UserId(name)), seq)
        for name, seq in seqs.items()
    ]
    return await device.execute(CatchUp(live.store.epoch, positions, limit))


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
        with pytest.raises(InvalidPayload) as refused:
            Window(limit=limit)

        assert refused.value.field == "limit"

    @pytest.mark.parametrize("seq", [-1, 2**63])
    def test_invalid_seq_is_rejected(self, seq: int) -> None:
        with pytest.raises(InvalidPayload) as refused:
            Window(before_seq=seq)

        assert refused.value.field == "before_seq"


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


class TestCatchingUp:
    async def test_missed_messages_are_returned(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for content in "abc":
            await ada.execute(personal(BOB, content))

        (of_ada,) = (await missed(bob, live, ada=1)).conversations

        assert contents(of_ada.messages) == ["b", "c"]
        assert not of_ada.limited
        assert of_ada.state.last_seq == 3

    async def test_unknown_conversations_are_returned(self, live: LiveChat) -> None:
        ada, eve = await live.connect(ADA), await live.connect(EVE)
        for device in (ada, eve):
            await device.execute(JoinRoom(LOBBY))
        await eve.execute(group(LOBBY, "in the room"))
        await eve.execute(personal(ADA, "to you"))

        caught_up = await missed(ada, live)

        assert [contents(each.messages) for each in caught_up.conversations] == [
            ["to you"],
            ["in the room"],
        ]

    async def test_own_messages_from_other_device_are_returned(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        await adas_phone.execute(personal(BOB, "from my phone"))

        (to_bob,) = (await missed(ada, live)).conversations

        assert contents(to_bob.messages) == ["from my phone"]

    async def test_known_messages_are_not_returned(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))
        await ada.execute(JoinRoom(LOBBY))

        caught_up = await missed(ada, live, bob=1)

        assert (caught_up.recovered, caught_up.conversations) == (True, [])

    async def test_rooms_of_others_are_not_returned(self, live: LiveChat) -> None:
        ada, eve = await live.connect(ADA), await live.connect(EVE)
        await ada.execute(JoinRoom(LOBBY))
        await ada.execute(group(LOBBY))

        caught_up = await missed(eve, live, lobby=0)

        assert (caught_up.recovered, caught_up.conversations) == (True, [])

    async def test_positions_from_another_epoch_are_not_recovered(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))

        caught_up = await ada.execute(CatchUp("another", [Position(TO_BOB, 0)]))

        assert caught_up == CaughtUp(recovered=False)

    async def test_newest_messages_are_returned_and_marked_limited(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for content in "abcd":
            await ada.execute(personal(BOB, content))

        (to_bob,) = (await missed(ada, live, limit=2, bob=1)).conversations

        assert contents(to_bob.messages) == ["c", "d"]
        assert to_bob.limited

    async def test_messages_within_limit_are_not_marked_limited(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(4):
            await ada.execute(personal(BOB))

        (to_bob,) = (await missed(ada, live, limit=3, bob=1)).conversations

        assert not to_bob.limited

    async def test_messages_that_do_not_fit_are_marked_limited(self) -> None:
        live = LiveChat(Limits(max_catch_up_messages=3, rates={}))
        ada = await live.connect(ADA)
        for other in (EVE, BOB):
            for _ in range(2):
                await ada.execute(personal(other))

        to_bob, to_eve = (await missed(ada, live)).conversations

        assert (len(to_bob.messages), to_bob.limited) == (2, False)
        assert (len(to_eve.messages), to_eve.limited) == (0, True)

    async def test_remaining_conversations_are_returned_next_time(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        others = [UserId(f"user {number}") for number in range(CONVERSATIONS_PER_READ + 1)]
        for other in others:
            await ada.execute(personal(other))

        first = await missed(ada, live)
        # The client now has the first result.
        rest = await missed(ada, live, **dict.fromkeys(others[1:], 1))

        assert (len(first.conversations), first.has_more) == (CONVERSATIONS_PER_READ, True)
        assert (len(rest.conversations), rest.has_more) == (1, False)

    async def test_missed_messages_are_found_on_later_pages(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        others = [UserId(f"user {number}") for number in range(CONVERSATIONS_PER_READ + 1)]
        for other in others:
            await ada.execute(personal(other))

        caught_up = await missed(ada, live, **dict.fromkeys(others[1:], 1))

        (oldest,) = caught_up.conversations
        assert oldest.state.conversation == Pair.of(ADA, others[0])

    async def test_returned_messages_are_delivered(self) -> None:
        live = LiveChat(Limits(max_offline_push=0, rates={}))
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.execute(personal(BOB))

        bob = await live.connect(BOB)
        await missed(bob, live, limit=2)
        bob.confirm()

        assert delivered(ada) == [2, 3]

    def test_too_many_positions_are_rejected(self) -> None:
        positions = [Position(IN_LOBBY, 1)] * 1001

        with pytest.raises(InvalidPayload) as refused:
            CatchUp("epoch", positions)

        assert refused.value.field == "positions"


class TestReceipts:
    async def test_receipt_in_pair_goes_to_other_user_and_own_devices(self, live: LiveChat) -> None:
        devices = [await live.connect(user) for user in (ADA, BOB, BOB, EVE)]
        ada, bob, bobs_phone, eve = devices
        await ada.execute(personal(BOB))

        answer = await bob.execute(MarkRead(TO_ADA, 1))

        assert answer.read_seq == 1
        assert reads(ada) == reads(bobs_phone) == [(BOB, ADA_AND_BOB, 1)]
        assert reads(bob) == reads(eve) == []

    async def test_unmoved_marker_publishes_nothing(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(personal(BOB))
        for seq in (1, 1, 0):
            answer = await bob.execute(MarkRead(TO_ADA, seq))
            assert answer.read_seq == 1

        assert len(reads(ada)) == 1

    async def test_marker_is_capped_at_newest_message(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(personal(BOB))

        assert (await bob.execute(MarkRead(TO_ADA, 99))).read_seq == 1

        assert reads(ada) == [(BOB, ADA_AND_BOB, 1)]

    async def test_receipt_in_room_goes_to_members(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        await ada.execute(group(LOBBY))

        await bob.execute(MarkRead(IN_LOBBY, 1))

        assert reads(ada) == [(BOB, IN_LOBBY, 1)]
        assert reads(eve) == []

    async def test_receipt_in_large_room_goes_to_own_devices_only(self) -> None:
        live = LiveChat(Limits(max_receipt_room_members=1, rates={}))
        ada, bob, bobs_phone = [await live.connect(user) for user in (ADA, BOB, BOB)]
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        await ada.execute(group(LOBBY))

        await bob.execute(MarkRead(IN_LOBBY, 1))

        assert reads(bobs_phone) == [(BOB, IN_LOBBY, 1)]
        assert reads(ada) == []

    async def test_marker_in_room_requires_membership(self, live: LiveChat) -> None:
        with pytest.raises(NotAMember):
            await (await live.connect(ADA)).execute(MarkRead(Room(RoomId("elsewhere")), 1))
