"""Who is seen typing, by whom, and for how long."""

import asyncio
from datetime import timedelta

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.application.commands import JoinRoom, LeaveRoom, StartTyping, StopTyping
from socketio_app.application.events import UserLeft
from socketio_app.application.limits import Limits
from socketio_app.domain.conversations import Pair, Person, Room, Target
from socketio_app.domain.errors import NotAMember
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.typing_board import TypingStarted, TypingStopped
from tests.builders import ADA, BOB, DEN, EVE, LOBBY, group, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import Gate, HookedStore

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=8)
MOMENT = timedelta(milliseconds=1)
TO_BOB, IN_LOBBY = Person(BOB), Room(LOBBY)


def typing(device: Device) -> list[str]:
    """What a connection was told of who types, in order: `+ada`, `-ada`."""
    return [
        f"{'+' if isinstance(event, TypingStarted) else '-'}{event.user_id}"
        for event in device.told
        if isinstance(event, TypingStarted | TypingStopped)
    ]


async def in_lobby(live: LiveChat, *users: UserId) -> list[Device]:
    """Connections of users who are members of the lobby."""
    devices = [await live.connect(user) for user in users]
    for device in devices:
        await device.do(JoinRoom(LOBBY))
    return devices


class TestToAPerson:
    async def test_it_is_seen_on_every_connection_of_theirs(self, live: LiveChat) -> None:
        ada, bob, bobs_phone = [await live.connect(user) for user in (ADA, BOB, BOB)]

        await ada.do(StartTyping(TO_BOB))

        started = TypingStarted(ADA, Pair.of(ADA, BOB), expires_in=TTL)
        assert bob.told[-1] == bobs_phone.told[-1] == started

    async def test_it_is_seen_by_nobody_else_not_even_oneself(self, live: LiveChat) -> None:
        ada, adas_phone, _, eve = [await live.connect(user) for user in (ADA, ADA, BOB, EVE)]

        await ada.do(StartTyping(TO_BOB))
        await ada.do(StopTyping(TO_BOB))

        assert typing(ada) == typing(adas_phone) == typing(eve) == []

    async def test_each_of_the_two_has_a_state_of_their_own(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        await ada.do(StartTyping(TO_BOB))
        await bob.do(StartTyping(Person(ADA)))
        await bob.do(StopTyping(Person(ADA)))

        assert typing(bob) == ["+ada"]
        assert typing(ada) == ["+bob", "-bob"]

    async def test_to_oneself_it_is_seen_by_nobody(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)

        await ada.do(StartTyping(Person(ADA)))
        await ada.do(StopTyping(Person(ADA)))
        await ada.do(StartTyping(Person(ADA)))
        live.clock.advance(TTL)

        assert typing(ada) == typing(adas_phone) == []


class TestInARoom:
    async def test_it_is_seen_by_the_other_members_on_every_connection(
        self, live: LiveChat
    ) -> None:
        ada, bob, bobs_phone, eve = await in_lobby(live, ADA, BOB, BOB, EVE)

        await ada.do(StartTyping(IN_LOBBY))

        started = TypingStarted(ADA, IN_LOBBY, expires_in=TTL)
        assert bob.told[-1] == bobs_phone.told[-1] == eve.told[-1] == started

    async def test_it_is_seen_by_nobody_else_not_even_oneself(self, live: LiveChat) -> None:
        ada, adas_phone = await in_lobby(live, ADA, ADA)
        eve = await live.connect(EVE)
        await eve.do(JoinRoom(DEN))

        await ada.do(StartTyping(IN_LOBBY))
        await ada.do(StopTyping(IN_LOBBY))

        assert typing(ada) == typing(adas_phone) == typing(eve) == []

    async def test_who_is_no_member_is_refused(self, live: LiveChat) -> None:
        (bob,) = await in_lobby(live, BOB)
        ada = await live.connect(ADA)

        with pytest.raises(NotAMember):
            await ada.do(StartTyping(IN_LOBBY))
        with pytest.raises(NotAMember):
            await ada.do(StopTyping(IN_LOBBY))

        assert typing(bob) == []

    async def test_it_is_one_state_for_each_room(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        for device in (ada, bob):
            await device.do(JoinRoom(DEN))

        await ada.do(StartTyping(IN_LOBBY))
        await ada.do(StartTyping(Room(DEN)))
        await ada.do(StopTyping(IN_LOBBY))

        assert [event.conversation for event in bob.of(TypingStarted)] == [IN_LOBBY, Room(DEN)]
        assert bob.of(TypingStopped) == [TypingStopped(ADA, IN_LOBBY)]


class TestInALargeRoom:
    @pytest.fixture
    def live(self) -> LiveChat:
        return LiveChat(Limits(typing_room_members=2, rates={}))

    async def test_up_to_the_limit_it_is_seen(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)

        await ada.do(StartTyping(IN_LOBBY))

        assert typing(bob) == ["+ada"]

    async def test_over_the_limit_it_is_not(self, live: LiveChat) -> None:
        ada, bob, _ = await in_lobby(live, ADA, BOB, EVE)

        await ada.do(StartTyping(IN_LOBBY))
        await ada.do(StopTyping(IN_LOBBY))

        assert typing(bob) == []

    async def test_the_limit_counts_people_and_not_connections(self, live: LiveChat) -> None:
        ada, bob, *_ = await in_lobby(live, ADA, BOB, BOB, BOB)

        await ada.do(StartTyping(IN_LOBBY))

        assert typing(bob) == ["+ada"]

    async def test_who_is_no_member_is_refused_all_the_same(self, live: LiveChat) -> None:
        await in_lobby(live, BOB, EVE, UserId("dan"))
        ada = await live.connect(ADA)

        with pytest.raises(NotAMember):
            await ada.do(StartTyping(IN_LOBBY))

    async def test_what_is_seen_as_it_grows_too_large_ends_by_a_stop(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.do(StartTyping(IN_LOBBY))
        await in_lobby(live, EVE)

        await ada.do(StopTyping(IN_LOBBY))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_what_is_seen_as_it_grows_too_large_is_not_renewed(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.do(StartTyping(IN_LOBBY))
        await in_lobby(live, EVE)
        live.clock.advance(TTL / 2)

        await ada.do(StartTyping(IN_LOBBY))
        live.clock.advance(TTL / 2)

        assert typing(bob) == ["+ada", "-ada"]

    async def test_it_is_seen_again_when_the_room_is_small_again(self, live: LiveChat) -> None:
        ada, bob, eve = await in_lobby(live, ADA, BOB, EVE)
        await ada.do(StartTyping(IN_LOBBY))
        await eve.do(LeaveRoom(LOBBY))

        await ada.do(StartTyping(IN_LOBBY))

        assert typing(bob) == ["+ada"]


class TestRenewal:
    async def test_is_told_to_nobody(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))
        live.clock.advance(timedelta(seconds=3))

        await ada.do(StartTyping(TO_BOB))

        assert typing(bob) == ["+ada"]

    async def test_may_come_from_another_connection(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        await ada.do(StartTyping(TO_BOB))

        await adas_phone.do(StartTyping(TO_BOB))

        assert typing(bob) == ["+ada"]

    async def test_lasts_as_long_as_a_beginning(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))
        for _ in range(10):
            live.clock.advance(timedelta(seconds=3))
            await ada.do(StartTyping(TO_BOB))

        live.clock.advance(TTL - MOMENT)
        assert typing(bob) == ["+ada"]

        live.clock.advance(MOMENT)
        assert typing(bob) == ["+ada", "-ada"]

    async def test_of_one_state_renews_no_other(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        await ada.do(StartTyping(TO_BOB))
        await ada.do(StartTyping(Person(EVE)))
        live.clock.advance(TTL / 2)
        await ada.do(StartTyping(TO_BOB))

        live.clock.advance(TTL / 2)

        assert typing(bob) == ["+ada"]
        assert typing(eve) == ["+ada", "-ada"]


class TestTheEnd:
    async def test_comes_with_a_stop(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))

        await ada.do(StopTyping(TO_BOB))

        assert bob.told[-1] == TypingStopped(ADA, Pair.of(ADA, BOB))

    async def test_may_come_from_another_connection(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        await ada.do(StartTyping(TO_BOB))

        await adas_phone.do(StopTyping(TO_BOB))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_of_what_has_not_begun_is_told_to_nobody(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        await ada.do(StopTyping(TO_BOB))

        assert typing(bob) == []

    async def test_comes_after_the_time_to_live_and_not_before(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))

        live.clock.advance(TTL - MOMENT)
        assert typing(bob) == ["+ada"]

        live.clock.advance(MOMENT)
        assert typing(bob) == ["+ada", "-ada"]

    async def test_comes_after_the_time_to_live_that_is_set(self) -> None:
        live = LiveChat(Limits(typing_ttl=timedelta(milliseconds=100), rates={}))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))

        live.clock.advance(timedelta(milliseconds=100))

        assert typing(bob) == ["+ada", "-ada"]
        assert bob.of(TypingStarted)[0].expires_in == timedelta(milliseconds=100)

    async def test_comes_with_a_message_to_the_same_person(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))

        await ada.do(personal(BOB))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_comes_with_a_message_to_the_same_room(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.do(StartTyping(IN_LOBBY))

        await ada.do(group(LOBBY))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_does_not_come_with_a_message_to_another_target(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.do(StartTyping(TO_BOB))

        await ada.do(group(LOBBY))
        await ada.do(personal(EVE))

        assert typing(bob) == ["+ada"]

    async def test_does_not_come_with_somebody_elses_message(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))

        await bob.do(personal(ADA))

        assert typing(bob) == ["+ada"]

    async def test_comes_with_leaving_the_room(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.do(StartTyping(IN_LOBBY))

        await ada.do(LeaveRoom(LOBBY))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_comes_with_the_last_connection_in_every_conversation(
        self, live: LiveChat
    ) -> None:
        ada, adas_phone, bob, eve = await in_lobby(live, ADA, ADA, BOB, EVE)
        for target in (TO_BOB, IN_LOBBY):
            await ada.do(StartTyping(target))

        ada.close()
        assert typing(bob) == ["+ada", "+ada"]

        adas_phone.close()
        assert typing(bob) == ["+ada", "+ada", "-ada", "-ada"]
        assert typing(eve) == ["+ada", "-ada"]

    @pytest.mark.parametrize("target", [TO_BOB, IN_LOBBY])
    async def test_is_told_once_whatever_it_came_with(self, live: LiveChat, target: Target) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.do(StartTyping(target))
        live.clock.advance(TTL)

        await ada.do(StopTyping(target))
        await ada.do(personal(BOB))
        await ada.do(LeaveRoom(LOBBY))
        ada.close()
        live.clock.advance(2 * TTL)

        assert typing(bob) == ["+ada", "-ada"]

    async def test_may_be_followed_by_a_new_beginning(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))
        await ada.do(StopTyping(TO_BOB))
        await ada.do(StartTyping(TO_BOB))
        live.clock.advance(TTL)
        await ada.do(StartTyping(TO_BOB))
        await ada.do(personal(BOB))
        await ada.do(StartTyping(TO_BOB))

        assert typing(bob) == ["+ada", "-ada", "+ada", "-ada", "+ada", "-ada", "+ada"]


class TestTime:
    """One timer serves all states."""

    async def test_each_state_ends_at_its_own_time(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        await ada.do(StartTyping(TO_BOB))
        live.clock.advance(timedelta(seconds=1))
        await eve.do(StartTyping(TO_BOB))

        live.clock.advance(TTL - timedelta(seconds=1))
        assert typing(bob) == ["+ada", "+eve", "-ada"]

        live.clock.advance(timedelta(seconds=1) - MOMENT)
        assert typing(bob) == ["+ada", "+eve", "-ada"]

        live.clock.advance(MOMENT)
        assert typing(bob) == ["+ada", "+eve", "-ada", "-eve"]

    async def test_a_state_that_stopped_early_keeps_none_from_its_end(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        await ada.do(StartTyping(TO_BOB))
        live.clock.advance(timedelta(seconds=1))
        await eve.do(StartTyping(TO_BOB))
        await ada.do(StopTyping(TO_BOB))

        live.clock.advance(TTL)

        assert typing(bob) == ["+ada", "+eve", "-ada", "-eve"]

    async def test_a_state_that_began_after_all_had_stopped_ends(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))
        await ada.do(StopTyping(TO_BOB))
        live.clock.advance(3 * TTL)
        await ada.do(StartTyping(TO_BOB))

        live.clock.advance(TTL)

        assert typing(bob) == ["+ada", "-ada", "+ada", "-ada"]

    async def test_many_states_that_run_out_at_once_are_each_told_once(
        self, live: LiveChat
    ) -> None:
        (bob,) = await in_lobby(live, BOB)
        users = [UserId(f"user {number}") for number in range(50)]
        for user in users:
            await live.host(user, StartTyping(TO_BOB))

        live.clock.advance(TTL)

        assert typing(bob) == [f"+{user}" for user in users] + [f"-{user}" for user in users]

    async def test_after_closing_no_end_is_told_by_time(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.do(StartTyping(TO_BOB))

        live.chat.close()
        live.clock.advance(2 * TTL)

        assert typing(bob) == ["+ada"]


class TestWithAStoreThatTakesItsTime:
    @pytest.mark.parametrize("call", ["is_member", "member_count"])
    async def test_nobody_is_seen_typing_in_a_room_that_they_have_left(self, call: str) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(after=gate))
        ada, adas_phone, bob = await in_lobby(live, ADA, ADA, BOB)
        gate.hold_next(call)
        starting = asyncio.create_task(ada.do(StartTyping(IN_LOBBY)))
        await gate.reached()

        leaving = asyncio.create_task(adas_phone.do(LeaveRoom(LOBBY)))
        await wait_all_tasks_blocked()
        gate.let_go()
        await asyncio.gather(starting, leaving, return_exceptions=True)

        assert len(bob.of(UserLeft)) == 1
        assert typing(bob).count("+ada") == typing(bob).count("-ada")

    async def test_after_closing_a_command_under_way_sets_no_timer(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(before=gate))
        ada, bob = await in_lobby(live, ADA, BOB)
        gate.hold_next("is_member")
        starting = asyncio.create_task(ada.do(StartTyping(IN_LOBBY)))
        await gate.reached()

        live.chat.close()
        gate.let_go()
        await starting
        live.clock.advance(2 * TTL)

        assert typing(bob) == ["+ada"]
