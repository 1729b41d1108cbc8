"""What is stored is told, also where that could not be known at once, or nobody waited for it."""

import asyncio

import pytest

from socketio_app.application.commands import JoinRoom, MarkRead
from socketio_app.application.events import MessageRead, MessageSent
from socketio_app.application.uncertain import MOST_UNCERTAIN, Uncertain
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import Unavailable
from tests.builders import ADA, BOB, LOBBY, draft, group, personal
from tests.live import Device, LiveChat
from tests.stores import Gate, HookedStore, Outage

pytestmark = pytest.mark.anyio


def said(device: Device) -> list[str]:
    return [event.message.content for event in device.of(MessageSent)]


class TestALostAnswer:
    """The store has the message, and its answer was lost."""

    @pytest.fixture
    def outage(self) -> Outage:
        return Outage()

    @pytest.fixture
    def live(self, outage: Outage) -> LiveChat:
        return LiveChat(store=HookedStore(after=outage))

    async def test_who_sends_again_has_the_message_told_once(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down.add("append")
        with pytest.raises(Unavailable):
            await ada.do(personal(BOB, "hello", client_message_id="m1"))
        outage.down.clear()
        assert said(bob) == []

        again = [await ada.do(personal(BOB, "hello", client_message_id="m1")) for _ in range(2)]

        assert [stored.duplicate for stored in again] == [True, True]
        assert said(bob) == ["hello"]

    async def test_a_message_that_was_not_stored_is_told_once_too(self) -> None:
        outage = Outage()
        live = LiveChat(store=HookedStore(before=outage))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down.add("append")
        with pytest.raises(Unavailable):
            await ada.do(personal(BOB, "hello", client_message_id="m1"))
        outage.down.clear()

        again = [await ada.do(personal(BOB, "hello", client_message_id="m1")) for _ in range(2)]

        assert [stored.duplicate for stored in again] == [False, True]
        assert said(bob) == ["hello"]

    async def test_a_place_of_reading_that_nobody_could_be_told_of_is_not_moved(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.do(JoinRoom(LOBBY))
        await ada.do(group(LOBBY))
        outage.down.add("member_count")
        with pytest.raises(Unavailable):
            await bob.do(MarkRead(Room(LOBBY), 1))
        outage.down.clear()

        await bob.do(MarkRead(Room(LOBBY), 1))

        assert [event.seq for event in ada.of(MessageRead)] == [1]


class TestAHostThatDoesNotWait:
    async def test_what_is_stored_is_told(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(after=gate))
        bob = await live.connect(BOB)
        gate.hold_next("append")
        sending = asyncio.create_task(live.host(ADA, personal(BOB, "hello")))
        await gate.reached()

        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        gate.let_go()

        async with asyncio.timeout(60):
            while not said(bob):
                await asyncio.sleep(0)

    async def test_what_is_stored_of_a_membership_takes_effect(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(after=gate))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(JoinRoom(LOBBY))
        gate.hold_next("join")
        joining = asyncio.create_task(live.host(BOB, JoinRoom(LOBBY)))
        await gate.reached()

        joining.cancel()
        gate.let_go()
        with pytest.raises(asyncio.CancelledError):
            await joining
        async with asyncio.timeout(60):
            while BOB not in live.broadcast._members[LOBBY]:
                await asyncio.sleep(0)

        await ada.do(group(LOBBY, "hello"))
        assert said(bob) == ["hello"]


def test_only_so_many_are_remembered_the_newest() -> None:
    uncertain = Uncertain()
    drafts = [
        draft(Room(LOBBY), ADA, client_message_id=f"m{number}")
        for number in range(MOST_UNCERTAIN + 1)
    ]

    for each in drafts:
        uncertain.note(each)

    assert not uncertain.settle(drafts[0])
    assert uncertain.settle(drafts[-1])


def test_a_message_without_a_name_cannot_be_sent_again() -> None:
    uncertain = Uncertain()
    nameless = draft(Room(LOBBY), ADA)

    uncertain.note(nameless)

    assert not uncertain.settle(nameless)
