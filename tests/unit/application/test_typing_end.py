"""How typing states are renewed, and how they end."""

import asyncio
from datetime import timedelta

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.application.commands import LeaveRoom, StartTyping, StopTyping
from socketio_app.application.events import UserLeft
from socketio_app.application.limits import Limits
from socketio_app.domain.conversations import Pair, Person, Target
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.typing_board import TypingStarted, TypingStopped
from tests.builders import ADA, BOB, EVE, LOBBY, group, personal
from tests.chat_harness import LiveChat
from tests.stores import Gate, HookedStore
from tests.unit.application.test_typing_indicator import IN_LOBBY, TO_BOB, TTL, in_lobby, typing

pytestmark = pytest.mark.anyio

MOMENT = timedelta(milliseconds=1)


class TestRenewal:
    async def test_renewal_is_not_published(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))
        live.clock.advance(timedelta(seconds=3))

        await ada.execute(StartTyping(TO_BOB))

        assert typing(bob) == ["+ada"]

    async def test_command_can_come_from_another_connection(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        await ada.execute(StartTyping(TO_BOB))

        await adas_phone.execute(StartTyping(TO_BOB))

        assert typing(bob) == ["+ada"]

    async def test_renewal_lasts_full_ttl(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))
        for _ in range(10):
            live.clock.advance(timedelta(seconds=3))
            await ada.execute(StartTyping(TO_BOB))

        live.clock.advance(TTL - MOMENT)
        assert typing(bob) == ["+ada"]

        live.clock.advance(MOMENT)
        assert typing(bob) == ["+ada", "-ada"]

    async def test_renewal_affects_only_its_state(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        await ada.execute(StartTyping(TO_BOB))
        await ada.execute(StartTyping(Person(EVE)))
        live.clock.advance(TTL / 2)
        await ada.execute(StartTyping(TO_BOB))

        live.clock.advance(TTL / 2)

        assert typing(bob) == ["+ada"]
        assert typing(eve) == ["+ada", "-ada"]


class TestEnd:
    async def test_stop_ends_state(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))

        await ada.execute(StopTyping(TO_BOB))

        assert bob.events[-1] == TypingStopped(ADA, Pair.of(ADA, BOB))

    async def test_command_can_come_from_another_connection(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        await ada.execute(StartTyping(TO_BOB))

        await adas_phone.execute(StopTyping(TO_BOB))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_stop_without_start_is_not_published(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        await ada.execute(StopTyping(TO_BOB))

        assert typing(bob) == []

    async def test_state_expires_after_ttl(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))

        live.clock.advance(TTL - MOMENT)
        assert typing(bob) == ["+ada"]

        live.clock.advance(MOMENT)
        assert typing(bob) == ["+ada", "-ada"]

    async def test_ttl_is_configurable(self) -> None:
        live = LiveChat(Limits(typing_ttl=timedelta(milliseconds=100), rates={}))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))

        live.clock.advance(timedelta(milliseconds=100))

        assert typing(bob) == ["+ada", "-ada"]
        assert bob.of(TypingStarted)[0].expires_in == timedelta(milliseconds=100)

    async def test_message_to_same_user_ends_state(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))

        await ada.execute(personal(BOB))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_message_to_same_room_ends_state(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.execute(StartTyping(IN_LOBBY))

        await ada.execute(group(LOBBY))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_message_to_other_target_does_not_end_state(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.execute(StartTyping(TO_BOB))

        await ada.execute(group(LOBBY))
        await ada.execute(personal(EVE))

        assert typing(bob) == ["+ada"]

    async def test_message_of_other_user_does_not_end_state(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))

        await bob.execute(personal(ADA))

        assert typing(bob) == ["+ada"]

    async def test_leaving_room_ends_state(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.execute(StartTyping(IN_LOBBY))

        await ada.execute(LeaveRoom(LOBBY))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_closing_last_connection_ends_all_states(self, live: LiveChat) -> None:
        ada, adas_phone, bob, eve = await in_lobby(live, ADA, ADA, BOB, EVE)
        for target in (TO_BOB, IN_LOBBY):
            await ada.execute(StartTyping(target))

        ada.close()
        assert typing(bob) == ["+ada", "+ada"]

        adas_phone.close()
        assert typing(bob) == ["+ada", "+ada", "-ada", "-ada"]
        assert typing(eve) == ["+ada", "-ada"]

    @pytest.mark.parametrize("target", [TO_BOB, IN_LOBBY])
    async def test_end_is_published_once(self, live: LiveChat, target: Target) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.execute(StartTyping(target))
        live.clock.advance(TTL)

        await ada.execute(StopTyping(target))
        await ada.execute(personal(BOB))
        await ada.execute(LeaveRoom(LOBBY))
        ada.close()
        live.clock.advance(2 * TTL)

        assert typing(bob) == ["+ada", "-ada"]

    async def test_typing_can_start_again_after_end(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))
        await ada.execute(StopTyping(TO_BOB))
        await ada.execute(StartTyping(TO_BOB))
        live.clock.advance(TTL)
        await ada.execute(StartTyping(TO_BOB))
        await ada.execute(personal(BOB))
        await ada.execute(StartTyping(TO_BOB))

        assert typing(bob) == ["+ada", "-ada", "+ada", "-ada", "+ada", "-ada", "+ada"]


class TestExpiry:
    """One timer serves all states."""

    async def test_states_expire_at_their_own_times(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        await ada.execute(StartTyping(TO_BOB))
        live.clock.advance(timedelta(seconds=1))
        await eve.execute(StartTyping(TO_BOB))

        live.clock.advance(TTL - timedelta(seconds=1))
        assert typing(bob) == ["+ada", "+eve", "-ada"]

        live.clock.advance(timedelta(seconds=1) - MOMENT)
        assert typing(bob) == ["+ada", "+eve", "-ada"]

        live.clock.advance(MOMENT)
        assert typing(bob) == ["+ada", "+eve", "-ada", "-eve"]

    async def test_stopped_state_does_not_delay_expiry_of_others(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        await ada.execute(StartTyping(TO_BOB))
        live.clock.advance(timedelta(seconds=1))
        await eve.execute(StartTyping(TO_BOB))
        await ada.execute(StopTyping(TO_BOB))

        live.clock.advance(TTL)

        assert typing(bob) == ["+ada", "+eve", "-ada", "-eve"]

    async def test_state_started_after_all_stopped_expires(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))
        await ada.execute(StopTyping(TO_BOB))
        live.clock.advance(3 * TTL)
        await ada.execute(StartTyping(TO_BOB))

        live.clock.advance(TTL)

        assert typing(bob) == ["+ada", "-ada", "+ada", "-ada"]

    async def test_states_that_expire_together_are_published_once_each(
        self, live: LiveChat
    ) -> None:
        (bob,) = await in_lobby(live, BOB)
        users = [UserId(f"user {number}") for number in range(50)]
        for user in users:
            await live.host(user, StartTyping(TO_BOB))

        live.clock.advance(TTL)

        assert typing(bob) == [f"+{user}" for user in users] + [f"-{user}" for user in users]

    async def test_no_state_expires_after_close(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(TO_BOB))

        live.chat.close()
        live.clock.advance(2 * TTL)

        assert typing(bob) == ["+ada"]


class TestSlowStore:
    @pytest.mark.parametrize("call", ["is_member", "member_count"])
    async def test_start_during_leave_leaves_no_state(self, call: str) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(after=gate))
        ada, adas_phone, bob = await in_lobby(live, ADA, ADA, BOB)
        gate.hold_next(call)
        starting = asyncio.create_task(ada.execute(StartTyping(IN_LOBBY)))
        await gate.reached()

        leaving = asyncio.create_task(adas_phone.execute(LeaveRoom(LOBBY)))
        await wait_all_tasks_blocked()
        gate.release()
        await asyncio.gather(starting, leaving, return_exceptions=True)

        assert len(bob.of(UserLeft)) == 1
        assert typing(bob).count("+ada") == typing(bob).count("-ada")

    async def test_running_command_sets_no_timer_after_close(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(before=gate))
        ada, bob = await in_lobby(live, ADA, BOB)
        gate.hold_next("is_member")
        starting = asyncio.create_task(ada.execute(StartTyping(IN_LOBBY)))
        await gate.reached()

        live.chat.close()
        gate.release()
        await starting
        live.clock.advance(2 * TTL)

        assert typing(bob) == ["+ada"]
