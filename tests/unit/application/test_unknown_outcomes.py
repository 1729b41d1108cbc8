"""Unknown outcomes and cancelled callers: whatever is stored is also broadcast."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.application.commands import Command, JoinRoom, LeaveRoom, MarkRead, RoomLeft
from socketio_app.application.events import MessageRead, MessageSent, UserJoined, UserLeft
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import Unavailable
from tests.builders import ADA, BOB, EVE, LOBBY, draft, group, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import Gate, HookedStore, Outage

pytestmark = pytest.mark.anyio


def contents(device: Device) -> list[str]:
    return [event.message.content for event in device.of(MessageSent)]


@pytest.fixture
def outage() -> Outage:
    return Outage()


@pytest.fixture
def live(outage: Outage) -> LiveChat:
    return LiveChat(store=HookedStore(after=outage))


class TestLostReply:
    """The message was stored, but the store's reply was lost."""

    async def test_retry_broadcasts_message_once(self, live: LiveChat, outage: Outage) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down.add("append")
        with pytest.raises(Unavailable):
            await ada.execute(personal(BOB, "hello", client_message_id="m1"))
        outage.down.clear()
        assert contents(bob) == []

        again = [
            await ada.execute(personal(BOB, "hello", client_message_id="m1")) for _ in range(2)
        ]

        assert [stored.duplicate for stored in again] == [True, True]
        assert contents(bob) == ["hello"]

    async def test_next_message_broadcasts_lost_one_in_order(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down.add("append")
        with pytest.raises(Unavailable):
            await ada.execute(personal(BOB, "one", client_message_id="m1"))
        outage.down.clear()

        await bob.execute(personal(ADA, "two"))
        await wait_all_tasks_blocked()
        retry = await ada.execute(personal(BOB, "one", client_message_id="m1"))

        assert retry.duplicate
        assert contents(bob) == ["one"]
        assert contents(ada) == ["one", "two"]

    async def test_failed_retry_of_broadcast_message_adds_no_broadcast(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(personal(BOB, "one", client_message_id="m1"))
        await ada.execute(personal(BOB, "two"))
        outage.down.add("append")
        with pytest.raises(Unavailable):
            await ada.execute(personal(BOB, "one", client_message_id="m1"))
        outage.down.clear()

        await ada.execute(personal(BOB, "one", client_message_id="m1"))

        assert contents(bob) == ["one", "two"]

    async def test_pushed_message_is_not_broadcast_again(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada = await live.connect(ADA)
        outage.down.add("append")
        with pytest.raises(Unavailable):
            await ada.execute(personal(BOB, "one", client_message_id="m1"))
        outage.down.clear()
        bob = await live.connect(BOB)
        await ada.execute(personal(BOB, "two"))

        await ada.execute(personal(BOB, "one", client_message_id="m1"))

        await wait_all_tasks_blocked()
        assert contents(bob) == ["one", "two"]

    async def test_opening_connection_broadcasts_lost_message(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down.add("append")
        with pytest.raises(Unavailable):
            await ada.execute(personal(BOB, "one", client_message_id="m1"))
        outage.down.clear()

        bobs_phone = await live.connect(BOB)
        await wait_all_tasks_blocked()
        await ada.execute(personal(BOB, "one", client_message_id="m1"))

        assert contents(bob) == contents(bobs_phone) == contents(ada) == ["one"]

    async def test_later_messages_wait_until_store_can_be_read(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(personal(BOB, "one"))
        outage.down = {"append", "page"}
        with pytest.raises(Unavailable):
            await ada.execute(personal(BOB, "two", client_message_id="m2"))
        outage.down.remove("append")
        await ada.execute(personal(BOB, "three"))
        await ada.execute(personal(BOB, "four"))
        await wait_all_tasks_blocked()
        assert contents(bob) == ["one"]

        outage.down.clear()
        live.clock.advance(timedelta(seconds=1))
        await wait_all_tasks_blocked()

        assert contents(bob) == ["one", "two", "three", "four"]
        assert contents(ada) == ["two"]

    async def test_messages_stored_by_another_process_are_broadcast(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(personal(BOB, "one"))
        for content in ("two", "three"):
            await live.store.messages.append(draft(from_user_id=BOB, content=content))

        await ada.execute(personal(BOB, "four"))
        await wait_all_tasks_blocked()

        assert contents(bob) == ["one", "two", "three", "four"]
        assert contents(ada) == ["two", "three"]

    async def test_message_that_was_not_stored_is_broadcast_once_on_retry(self) -> None:
        outage = Outage()
        live = LiveChat(store=HookedStore(before=outage))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down.add("append")
        with pytest.raises(Unavailable):
            await ada.execute(personal(BOB, "hello", client_message_id="m1"))
        outage.down.clear()

        again = [
            await ada.execute(personal(BOB, "hello", client_message_id="m1")) for _ in range(2)
        ]

        assert [stored.duplicate for stored in again] == [False, True]
        assert contents(bob) == ["hello"]

    async def test_read_marker_is_not_moved_if_receipt_fails(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        await ada.execute(group(LOBBY))
        outage.down.add("member_count")
        with pytest.raises(Unavailable):
            await bob.execute(MarkRead(Room(LOBBY), 1))
        outage.down.clear()

        await bob.execute(MarkRead(Room(LOBBY), 1))

        assert [event.seq for event in ada.of(MessageRead)] == [1]


class TestMembershipInDoubt:
    """The membership was changed, but the store's reply was lost."""

    async def test_user_who_left_is_unsubscribed(self, live: LiveChat, outage: Outage) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        outage.down = {"leave"}

        with pytest.raises(Unavailable):
            await ada.execute(LeaveRoom(LOBBY))
        await bob.execute(group(LOBBY))
        await wait_all_tasks_blocked()
        await bob.execute(group(LOBBY))

        for device in (ada, adas_phone):
            assert contents(device) == []
            assert isinstance(device.events[-1], UserLeft)
        assert [event.member_count for event in bob.of(UserLeft)] == [1]
        outage.down.clear()
        assert await ada.execute(LeaveRoom(LOBBY)) == RoomLeft(left=False)
        assert len(bob.of(UserLeft)) == 1

    async def test_user_who_did_not_leave_gets_all_messages(self) -> None:
        outage = Outage()
        live = LiveChat(store=HookedStore(before=outage))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        outage.down = {"leave", "membership"}
        with pytest.raises(Unavailable):
            await ada.execute(LeaveRoom(LOBBY))
        await bob.execute(group(LOBBY, "one"))
        await wait_all_tasks_blocked()
        assert contents(ada) == []

        outage.down.clear()
        live.clock.advance(timedelta(seconds=1))
        await wait_all_tasks_blocked()
        await bob.execute(group(LOBBY, "two"))

        assert contents(ada) == ["one", "two"]
        assert bob.of(UserLeft) == []

    async def test_user_who_joined_is_subscribed_and_announced_once(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await bob.execute(JoinRoom(LOBBY))
        outage.down = {"join"}
        with pytest.raises(Unavailable):
            await ada.execute(JoinRoom(LOBBY))
        await wait_all_tasks_blocked()
        outage.down.clear()

        await bob.execute(group(LOBBY))

        assert contents(ada) == ["hello"]
        assert [event.member_count for event in bob.of(UserJoined)] == [1, 2]
        assert not (await ada.execute(JoinRoom(LOBBY))).joined
        assert len(bob.of(UserJoined)) == 2

    async def test_retry_settles_membership(self, live: LiveChat, outage: Outage) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        outage.down = {"leave", "membership"}
        with pytest.raises(Unavailable):
            await ada.execute(LeaveRoom(LOBBY))
        outage.down = {"membership"}

        again = await ada.execute(LeaveRoom(LOBBY))

        assert again == RoomLeft(left=False)
        assert len(ada.of(UserLeft)) == len(bob.of(UserLeft)) == 1

    async def test_host_changes_to_offline_users_are_settled(
        self, live: LiveChat, outage: Outage
    ) -> None:
        bob = await live.connect(BOB)
        await bob.execute(JoinRoom(LOBBY))
        commands: dict[str, Command[Any]] = {"join": JoinRoom(LOBBY), "leave": LeaveRoom(LOBBY)}
        for call, command in commands.items():
            outage.down = {call}
            with pytest.raises(Unavailable):
                await live.host(EVE, command)
            await wait_all_tasks_blocked()

        assert [event.user_id for event in bob.of(UserJoined)] == [BOB, EVE]
        assert [event.user_id for event in bob.of(UserLeft)] == [EVE]


class TestCancelledHostCall:
    async def test_stored_message_is_broadcast(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(after=gate))
        bob = await live.connect(BOB)
        gate.hold_next("append")
        sending = asyncio.create_task(live.host(ADA, personal(BOB, "hello")))
        await gate.reached()

        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        gate.release()

        async with asyncio.timeout(60):
            while not contents(bob):
                await asyncio.sleep(0)

    async def test_stored_membership_takes_effect(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(after=gate))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(JoinRoom(LOBBY))
        gate.hold_next("join")
        joining = asyncio.create_task(live.host(BOB, JoinRoom(LOBBY)))
        await gate.reached()

        joining.cancel()
        gate.release()
        with pytest.raises(asyncio.CancelledError):
            await joining
        async with asyncio.timeout(60):
            while BOB not in live.broadcast._members[LOBBY]:
                await asyncio.sleep(0)

        await ada.execute(group(LOBBY, "hello"))
        assert contents(bob) == ["hello"]
