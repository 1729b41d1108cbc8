"""Joining and leaving rooms."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.adapters.memory import MemoryStore
from socketio_app.application.commands import (
    Command,
    JoinRoom,
    LeaveRoom,
    RoomJoined,
    RoomLeft,
    StartTyping,
)
from socketio_app.application.events import Event, MessageSent, UserJoined, UserLeft
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import InvalidPayload, Unavailable
from socketio_app.domain.identifiers import RoomId
from socketio_app.domain.typing_board import TypingStarted, TypingStopped
from tests.builders import ADA, BOB, DEN, EVE, LOBBY, group
from tests.chat_harness import Device, LiveChat
from tests.stores import Gate, HookedStore, Outage

pytestmark = pytest.mark.anyio


def since_connected(device: Device) -> Sequence[Event]:
    return device.events[1:]


class TestJoining:
    async def test_joining_unknown_room_creates_it(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)

        assert await ada.execute(JoinRoom(LOBBY)) == RoomJoined(
            LOBBY, last_seq=0, member_count=1, joined=True
        )

    async def test_room_is_open_to_all_users(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(JoinRoom(LOBBY))
        await ada.execute(group(LOBBY))

        assert await bob.execute(JoinRoom(LOBBY)) == RoomJoined(
            LOBBY, last_seq=1, member_count=2, joined=True
        )

    async def test_join_is_published_to_room_and_joiners_connections(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        await bob.execute(JoinRoom(LOBBY))
        live.clock.advance(timedelta(seconds=1))

        await ada.execute(JoinRoom(LOBBY))

        joined = UserJoined(LOBBY, ADA, joined_at=live.clock.now(), member_count=2)
        assert since_connected(ada) == since_connected(adas_phone) == [joined]
        assert bob.events[-1] == joined

    async def test_other_users_are_not_notified(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        await eve.execute(JoinRoom(DEN))

        await ada.execute(JoinRoom(LOBBY))

        assert since_connected(bob) == []
        assert len(eve.of(UserJoined)) == 1

    async def test_joining_again_publishes_nothing(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        before = [list(device.events) for device in (ada, adas_phone, bob)]

        answers = [await device.execute(JoinRoom(LOBBY)) for device in (ada, adas_phone)]

        assert [device.events for device in (ada, adas_phone, bob)] == before
        assert answers == [RoomJoined(LOBBY, last_seq=0, member_count=2, joined=False)] * 2

    async def test_all_connections_of_member_get_room_messages(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))

        sent = await bob.execute(group(LOBBY))

        assert ada.of(MessageSent) == adas_phone.of(MessageSent) == [MessageSent(sent.message)]

    async def test_earlier_messages_are_not_sent(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await bob.execute(JoinRoom(LOBBY))
        await bob.execute(group(LOBBY))

        await ada.execute(JoinRoom(LOBBY))

        assert ada.of(MessageSent) == []

    async def test_join_above_room_limit_is_rejected(self) -> None:
        live = LiveChat(store=MemoryStore(max_messages=10, conversations=10, rooms_per_user=1))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(JoinRoom(DEN))
        await bob.execute(JoinRoom(LOBBY))
        before = [list(device.events) for device in (ada, bob)]

        with pytest.raises(InvalidPayload) as rejected:
            await ada.execute(JoinRoom(LOBBY))

        assert rejected.value.field == "room_id"
        assert [device.events for device in (ada, bob)] == before

    async def test_rejected_join_does_not_subscribe(self) -> None:
        live = LiveChat(store=MemoryStore(max_messages=10, conversations=10, rooms_per_user=1))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(JoinRoom(DEN))
        await bob.execute(JoinRoom(LOBBY))
        with pytest.raises(InvalidPayload):
            await ada.execute(JoinRoom(LOBBY))

        await bob.execute(group(LOBBY))

        assert ada.of(MessageSent) == []

    async def test_join_by_host_is_published(self, live: LiveChat) -> None:
        bob = await live.connect(BOB)
        await bob.execute(JoinRoom(LOBBY))

        await live.host(ADA, JoinRoom(LOBBY))

        assert bob.events[-1] == UserJoined(LOBBY, ADA, live.clock.now(), member_count=2)


class TestLeaving:
    async def test_leave_is_published_to_members_and_leavers_connections(
        self, live: LiveChat
    ) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        live.clock.advance(timedelta(seconds=1))

        answer = await ada.execute(LeaveRoom(LOBBY))

        assert answer == RoomLeft(left=True)
        left = UserLeft(LOBBY, ADA, left_at=live.clock.now(), member_count=1, reason="left")
        for device in (ada, adas_phone, bob):
            assert device.of(UserLeft) == [left]

    async def test_other_users_are_not_notified(self, live: LiveChat) -> None:
        ada, eve = await live.connect(ADA), await live.connect(EVE)
        await ada.execute(JoinRoom(LOBBY))
        await eve.execute(JoinRoom(DEN))

        await ada.execute(LeaveRoom(LOBBY))

        assert eve.of(UserLeft) == []

    async def test_user_left_is_last_event_for_leaver(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        await ada.execute(LeaveRoom(LOBBY))

        await bob.execute(group(LOBBY))
        await bob.execute(StartTyping(Room(LOBBY)))
        await live.host(EVE, JoinRoom(LOBBY))

        assert isinstance(ada.events[-1], UserLeft)
        assert isinstance(adas_phone.events[-1], UserLeft)

    @pytest.mark.parametrize("room_id", [LOBBY, DEN])
    async def test_leaving_without_membership_publishes_nothing(
        self, live: LiveChat, room_id: RoomId
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await bob.execute(JoinRoom(LOBBY))
        before = list(bob.events)

        answer = await ada.execute(LeaveRoom(room_id))

        assert answer == RoomLeft(left=False)
        assert since_connected(ada) == []
        assert bob.events == before

    async def test_second_leave_publishes_nothing(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))

        answers = [await ada.execute(LeaveRoom(LOBBY)) for _ in range(2)]

        assert answers == [RoomLeft(left=True), RoomLeft(left=False)]
        assert len(bob.of(UserLeft)) == 1

    async def test_typing_ends_before_leave_is_published(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (bob, ada):
            await device.execute(JoinRoom(LOBBY))
        await ada.execute(StartTyping(Room(LOBBY)))

        await ada.execute(LeaveRoom(LOBBY))

        assert [type(event) for event in bob.events[-3:]] == [
            TypingStarted,
            TypingStopped,
            UserLeft,
        ]
        live.clock.advance(timedelta(minutes=1))
        assert len(bob.of(TypingStopped)) == 1

    async def test_typing_in_other_rooms_continues(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
            await device.execute(JoinRoom(DEN))
        await ada.execute(StartTyping(Room(DEN)))

        await ada.execute(LeaveRoom(LOBBY))

        assert bob.of(TypingStopped) == []

    async def test_rejoining_is_published(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (bob, ada):
            await device.execute(JoinRoom(LOBBY))
        await ada.execute(LeaveRoom(LOBBY))

        await ada.execute(JoinRoom(LOBBY))

        assert [type(event) for event in bob.events[-3:]] == [UserJoined, UserLeft, UserJoined]

    async def test_seq_continues_after_all_members_left(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(JoinRoom(LOBBY))
        await ada.execute(group(LOBBY))
        await ada.execute(LeaveRoom(LOBBY))

        again = await ada.execute(JoinRoom(LOBBY))

        assert again == RoomJoined(LOBBY, last_seq=1, member_count=1, joined=True)
        assert (await ada.execute(group(LOBBY))).message.seq == 2


class TestUnavailable:
    @pytest.mark.parametrize(
        ("call", "command"), [("join", JoinRoom(DEN)), ("leave", LeaveRoom(LOBBY))]
    )
    async def test_change_that_is_not_stored_publishes_nothing(
        self, call: str, command: Command[Any]
    ) -> None:
        outage = Outage()
        live = LiveChat(store=HookedStore(before=outage))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(JoinRoom(LOBBY))
        for room_id in (LOBBY, DEN):
            await bob.execute(JoinRoom(room_id))
        before = [list(device.events) for device in (ada, bob)]
        outage.down = {call}

        with pytest.raises(Unavailable):
            await ada.execute(command)

        await wait_all_tasks_blocked()  # until the membership has been read from the store
        assert [device.events for device in (ada, bob)] == before
        to_lobby = await bob.execute(group(LOBBY))
        await bob.execute(group(DEN))
        assert ada.of(MessageSent) == [MessageSent(to_lobby.message)]


class TestConcurrentChanges:
    """A user's changes are serialized, whichever connections they come from."""

    @pytest.mark.parametrize("held", ["join", "leave"])
    async def test_subscription_matches_membership(self, held: str) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(after=gate))
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        await bob.execute(JoinRoom(LOBBY))
        commands: list[Command[Any]] = [JoinRoom(LOBBY), LeaveRoom(LOBBY)]
        if held == "leave":
            await ada.execute(JoinRoom(LOBBY))
            commands.reverse()
        gate.hold_next(held)
        first = asyncio.create_task(ada.execute(commands[0]))
        await gate.reached()

        second = asyncio.create_task(adas_phone.execute(commands[1]))
        await wait_all_tasks_blocked()
        gate.release()
        await asyncio.gather(first, second)
        await bob.execute(group(LOBBY))

        is_member = await live.store.rooms.is_member(LOBBY, ADA)
        assert is_member == (held == "leave")
        assert len(ada.of(MessageSent)) == len(adas_phone.of(MessageSent)) == is_member

    async def test_concurrent_joins_are_published_once(self) -> None:
        live = LiveChat(store=HookedStore(before=lambda _: asyncio.sleep(0)))
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)

        answers = await asyncio.gather(*[d.execute(JoinRoom(LOBBY)) for d in (ada, adas_phone)])

        assert sorted(answer.joined for answer in answers) == [False, True]
        assert len(ada.of(UserJoined)) == 1

    async def test_slow_join_does_not_block_other_users(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(before=gate))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        gate.hold_next("join")
        waiting = asyncio.create_task(ada.execute(JoinRoom(LOBBY)))
        await gate.reached()

        joined = await bob.execute(JoinRoom(LOBBY))

        assert joined.member_count == 1
        gate.release()
        assert (await waiting).member_count == 2
