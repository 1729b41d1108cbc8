"""Which commands are let in."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from socketio_app.application.commands import (
    Command,
    JoinRoom,
    LeaveRoom,
    StartTyping,
    StopTyping,
)
from socketio_app.application.events import MessageSent
from socketio_app.application.limits import DEFAULT_RATES, CommandKind, Limits
from socketio_app.domain.conversations import Pair, Person
from socketio_app.domain.errors import RateLimited, Unavailable
from socketio_app.domain.rates import Rate, Rates
from tests.builders import ADA, BOB, LOBBY, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import Gate, HookedStore

pytestmark = pytest.mark.anyio

MOMENT = timedelta(milliseconds=1)
FOUR_A_SECOND = Rate(per_second=4, burst=3)
OF_A_USER = Rates(per_user=FOUR_A_SECOND, per_connection=None)
RATES: Mapping[CommandKind, Rates] = {
    "send": OF_A_USER,
    "membership": OF_A_USER,
    "typing": OF_A_USER,
}
SEND, JOIN, LEAVE = personal(BOB), JoinRoom(LOBBY), LeaveRoom(LOBBY)
START, STOP = StartTyping(Person(BOB)), StopTyping(Person(BOB))


@pytest.fixture
def live() -> LiveChat:
    return LiveChat(Limits(rates=RATES))


async def refused(device: Device, command: Command[Any]) -> int:
    """How long a command was told to wait, in milliseconds."""
    with pytest.raises(RateLimited) as too_fast:
        await device.do(command)
    return too_fast.value.retry_after_ms


class TestRates:
    @pytest.mark.parametrize("command", [SEND, JOIN, LEAVE, START, STOP])
    async def test_after_a_burst_a_command_is_told_how_long_to_wait(
        self, live: LiveChat, command: Command[Any]
    ) -> None:
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.do(command)

        assert await refused(ada, command) == 250

    async def test_who_waits_as_long_as_told_is_let_in(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.do(SEND)

        live.clock.advance(timedelta(milliseconds=249))
        assert await refused(ada, SEND) == 1

        live.clock.advance(MOMENT)
        assert not (await ada.do(SEND)).duplicate
        assert await refused(ada, SEND) == 250

    async def test_what_is_refused_leaves_no_trace(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for _ in range(3):
            await ada.do(SEND)
        told = list(bob.told)

        await refused(ada, SEND)

        assert bob.told == told
        live.clock.advance(timedelta(seconds=1))
        assert (await ada.do(SEND)).message.seq == 4

    async def test_a_users_connections_count_together(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        for device in (ada, adas_phone, ada):
            await device.do(SEND)

        await refused(adas_phone, SEND)

    async def test_a_new_connection_is_no_new_burst(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.do(SEND)
        ada.close()

        await refused(await live.connect(ADA), SEND)

    async def test_each_user_counts_alone(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for _ in range(3):
            await ada.do(SEND)

        await bob.do(SEND)

        await refused(ada, SEND)

    async def test_each_kind_of_command_counts_alone(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.do(SEND)
            await ada.do(JOIN)
            await ada.do(START)

        for command in (SEND, JOIN, START):
            await refused(ada, command)

    @pytest.mark.parametrize(("one", "other"), [(JOIN, LEAVE), (START, STOP)])
    async def test_commands_of_a_kind_count_together(
        self, live: LiveChat, one: Command[Any], other: Command[Any]
    ) -> None:
        ada = await live.connect(ADA)
        for command in (one, other, one):
            await ada.do(command)

        await refused(ada, other)

    async def test_a_kind_without_a_rate_is_not_limited(self) -> None:
        live = LiveChat(Limits(rates={"membership": OF_A_USER}))
        ada = await live.connect(ADA)

        sent = [await ada.do(SEND) for _ in range(1000)]

        assert sent[-1].message.seq == 1000

    async def test_the_host_is_not_limited(self, live: LiveChat) -> None:
        sent = [await live.host(ADA, SEND) for _ in range(1000)]

        assert sent[-1].message.seq == 1000

    async def test_what_the_host_does_for_a_user_uses_nothing_up(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(10):
            await live.host(ADA, SEND)

        for _ in range(3):
            await ada.do(SEND)

        await refused(ada, SEND)

    async def test_one_connection_leaves_something_for_the_users_others(self) -> None:
        of_both = Rates(per_user=Rate(per_second=4, burst=6), per_connection=FOUR_A_SECOND)
        live = LiveChat(Limits(rates={"send": of_both}))
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        for _ in range(3):
            await ada.do(SEND)

        assert await refused(ada, SEND) == 250
        for _ in range(3):
            await adas_phone.do(SEND)
        assert await refused(await live.connect(ADA), SEND) == 250

    @pytest.mark.parametrize(
        ("kind", "command", "wait"),
        [("send", SEND, 100), ("membership", JOIN, 50), ("typing", START, 100)],
    )
    async def test_the_default_rates_are_kept_to_the_millisecond(
        self, kind: CommandKind, command: Command[Any], wait: int
    ) -> None:
        live = LiveChat(Limits())
        live.clock.advance(timedelta(milliseconds=777))
        ada = await live.connect(ADA)
        of_a_connection = DEFAULT_RATES[kind].per_connection
        assert of_a_connection is not None
        for _ in range(of_a_connection.burst):
            await ada.do(command)

        for _ in range(100):
            assert await refused(ada, command) == wait
            live.clock.advance(timedelta(milliseconds=wait - 1))
            assert await refused(ada, command) == 1
            live.clock.advance(MOMENT)
            await ada.do(command)


class TestClosing:
    @pytest.mark.parametrize("command", [SEND, JOIN, LEAVE, START, STOP])
    async def test_nothing_is_let_in_any_more(self, live: LiveChat, command: Command[Any]) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        told = [list(device.told) for device in (ada, bob)]
        live.chat.close()

        with pytest.raises(Unavailable):
            await ada.do(command)

        assert [device.told for device in (ada, bob)] == told
        assert await live.store.messages.last_seq(Pair.of(ADA, BOB)) == 0

    async def test_not_even_the_host_is(self, live: LiveChat) -> None:
        live.chat.open()
        live.chat.close()

        with pytest.raises(Unavailable):
            await live.host(ADA, SEND)

    async def test_closing_twice_is_harmless(self, live: LiveChat) -> None:
        live.chat.open()
        live.chat.close()
        live.chat.close()

        with pytest.raises(Unavailable):
            await live.host(ADA, SEND)

    async def test_what_is_under_way_goes_on_to_its_end(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(before=gate))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        gate.hold_next("append")
        sending = asyncio.create_task(ada.do(SEND))
        await gate.reached()

        live.chat.close()
        gate.let_go()

        assert bob.of(MessageSent) == []
        sent = await sending
        assert bob.of(MessageSent) == [MessageSent(sent.message)]
