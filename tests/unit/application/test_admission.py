"""Admission of commands."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from socketio_app.application.commands import (
    Command,
    CommandKind,
    JoinRoom,
    LeaveRoom,
    StartTyping,
    StopTyping,
)
from socketio_app.application.events import MessageSent
from socketio_app.application.limits import DEFAULT_RATES, Limits
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


async def rejected(device: Device, command: Command[Any]) -> int:
    """Send a command that exceeds its rate; return `retry_after_ms`."""
    with pytest.raises(RateLimited) as limited:
        await device.execute(command)
    return limited.value.retry_after_ms


class TestRates:
    @pytest.mark.parametrize("command", [SEND, JOIN, LEAVE, START, STOP])
    async def test_command_above_burst_gets_retry_delay(
        self, live: LiveChat, command: Command[Any]
    ) -> None:
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.execute(command)

        assert await rejected(ada, command) == 250

    async def test_command_is_accepted_after_retry_delay(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.execute(SEND)

        live.clock.advance(timedelta(milliseconds=249))
        assert await rejected(ada, SEND) == 1

        live.clock.advance(MOMENT)
        assert not (await ada.execute(SEND)).duplicate
        assert await rejected(ada, SEND) == 250

    async def test_rejected_command_has_no_effect(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for _ in range(3):
            await ada.execute(SEND)
        before = list(bob.events)

        await rejected(ada, SEND)

        assert bob.events == before
        live.clock.advance(timedelta(seconds=1))
        assert (await ada.execute(SEND)).message.seq == 4

    async def test_connections_of_user_share_rate(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        for device in (ada, adas_phone, ada):
            await device.execute(SEND)

        await rejected(adas_phone, SEND)

    async def test_reconnecting_does_not_reset_rate(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.execute(SEND)
        ada.close()

        await rejected(await live.connect(ADA), SEND)

    async def test_users_are_limited_separately(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for _ in range(3):
            await ada.execute(SEND)

        await bob.execute(SEND)

        await rejected(ada, SEND)

    async def test_kinds_of_commands_are_limited_separately(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.execute(SEND)
            await ada.execute(JOIN)
            await ada.execute(START)

        for command in (SEND, JOIN, START):
            await rejected(ada, command)

    @pytest.mark.parametrize(("one", "other"), [(JOIN, LEAVE), (START, STOP)])
    async def test_commands_of_one_kind_share_rate(
        self, live: LiveChat, one: Command[Any], other: Command[Any]
    ) -> None:
        ada = await live.connect(ADA)
        for command in (one, other, one):
            await ada.execute(command)

        await rejected(ada, other)

    async def test_kind_without_rate_is_unlimited(self) -> None:
        live = LiveChat(Limits(rates={"membership": OF_A_USER}))
        ada = await live.connect(ADA)

        sent = [await ada.execute(SEND) for _ in range(1000)]

        assert sent[-1].message.seq == 1000

    async def test_host_application_is_not_limited(self, live: LiveChat) -> None:
        sent = [await live.host(ADA, SEND) for _ in range(1000)]

        assert sent[-1].message.seq == 1000

    async def test_host_commands_do_not_count_for_user(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(10):
            await live.host(ADA, SEND)

        for _ in range(3):
            await ada.execute(SEND)

        await rejected(ada, SEND)

    async def test_one_connection_cannot_use_up_user_rate(self) -> None:
        of_both = Rates(per_user=Rate(per_second=4, burst=6), per_connection=FOUR_A_SECOND)
        live = LiveChat(Limits(rates={"send": of_both}))
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        for _ in range(3):
            await ada.execute(SEND)

        assert await rejected(ada, SEND) == 250
        for _ in range(3):
            await adas_phone.execute(SEND)
        assert await rejected(await live.connect(ADA), SEND) == 250

    @pytest.mark.parametrize(
        ("kind", "command", "wait"),
        [("send", SEND, 100), ("membership", JOIN, 50), ("typing", START, 100)],
    )
    async def test_default_rates_are_exact_to_the_millisecond(
        self, kind: CommandKind, command: Command[Any], wait: int
    ) -> None:
        live = LiveChat(Limits())
        live.clock.advance(timedelta(milliseconds=777))
        ada = await live.connect(ADA)
        of_a_connection = DEFAULT_RATES[kind].per_connection
        assert of_a_connection is not None
        for _ in range(of_a_connection.burst):
            await ada.execute(command)

        for _ in range(100):
            assert await rejected(ada, command) == wait
            live.clock.advance(timedelta(milliseconds=wait - 1))
            assert await rejected(ada, command) == 1
            live.clock.advance(MOMENT)
            await ada.execute(command)


class TestClosing:
    @pytest.mark.parametrize("command", [SEND, JOIN, LEAVE, START, STOP])
    async def test_commands_are_rejected_after_close(
        self, live: LiveChat, command: Command[Any]
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        before = [list(device.events) for device in (ada, bob)]
        live.chat.close()

        with pytest.raises(Unavailable):
            await ada.execute(command)

        assert [device.events for device in (ada, bob)] == before
        assert await live.store.messages.last_seq(Pair.of(ADA, BOB)) == 0

    async def test_host_commands_are_rejected_after_close(self, live: LiveChat) -> None:
        live.chat.open()
        live.chat.close()

        with pytest.raises(Unavailable):
            await live.host(ADA, SEND)

    async def test_close_is_idempotent(self, live: LiveChat) -> None:
        live.chat.open()
        live.chat.close()
        live.chat.close()

        with pytest.raises(Unavailable):
            await live.host(ADA, SEND)

    async def test_running_command_is_completed_after_close(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(before=gate))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        gate.hold_next("append")
        sending = asyncio.create_task(ada.execute(SEND))
        await gate.reached()

        live.chat.close()
        gate.release()

        assert bob.of(MessageSent) == []
        sent = await sending
        assert bob.of(MessageSent) == [MessageSent(sent.message)]
