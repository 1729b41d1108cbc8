"""Read markers and read receipts."""

import pytest

from socketio_app.application.commands import (
    JoinRoom,
    MarkRead,
)
from socketio_app.application.events import MessageRead
from socketio_app.application.limits import Limits
from socketio_app.domain.conversations import Conversation, Pair, Person, Room
from socketio_app.domain.errors import NotAMember
from socketio_app.domain.identifiers import RoomId, UserId
from tests.builders import ADA, BOB, EVE, LOBBY, group, personal
from tests.chat_harness import Device, LiveChat

pytestmark = pytest.mark.anyio

IN_LOBBY, TO_ADA, TO_BOB = Room(LOBBY), Person(ADA), Person(BOB)

ADA_AND_BOB = Pair.of(ADA, BOB)


def reads(device: Device) -> list[tuple[UserId, Conversation, int]]:
    return [(each.user_id, each.conversation, each.seq) for each in device.of(MessageRead)]


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
