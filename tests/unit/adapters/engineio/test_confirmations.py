"""Which messages a client has confirmed, and when it is pinged for a confirmation."""

import asyncio

import attrs
import pytest

from socketio_app.adapters.engineio.client_session import ClientSession
from socketio_app.adapters.engineio.confirmations import (
    CONFIRMATION_INTERVAL_SECONDS,
    MAX_UNCONFIRMED,
    ConfirmationTimer,
    Unconfirmed,
)

pytestmark = pytest.mark.anyio


class TestPongs:
    async def test_pong_confirms_messages_written_before_its_ping(self) -> None:
        unconfirmed = Unconfirmed()
        unconfirmed.add("before", None)
        unconfirmed.note_ping()
        unconfirmed.add("after", None)

        assert unconfirmed.note_pong() == ["before"]
        assert unconfirmed.needs_ping

    async def test_pong_without_ping_confirms_nothing(self) -> None:
        unconfirmed = Unconfirmed()
        unconfirmed.add("before", None)

        assert unconfirmed.note_pong() == []

    async def test_second_pong_confirms_nothing(self) -> None:
        unconfirmed = Unconfirmed()
        unconfirmed.add("before", None)
        unconfirmed.note_ping()
        unconfirmed.note_pong()

        assert unconfirmed.note_pong() == []

    async def test_messages_over_limit_are_never_confirmed(self) -> None:
        unconfirmed = Unconfirmed()
        for number in range(MAX_UNCONFIRMED + 1):
            unconfirmed.add(number, None)
        unconfirmed.note_ping()

        assert unconfirmed.note_pong() == list(range(MAX_UNCONFIRMED))


class TestPolls:
    async def test_poll_confirms_messages_of_earlier_polls(self) -> None:
        unconfirmed = Unconfirmed()
        for number in (1, 2, 3):
            unconfirmed.add(f"in packet {number}", number)

        assert unconfirmed.note_poll(taken=0) == []
        assert unconfirmed.note_poll(taken=2) == ["in packet 1", "in packet 2"]
        assert unconfirmed.note_poll(taken=3) == ["in packet 3"]

    async def test_pong_does_not_confirm_polled_messages(self) -> None:
        unconfirmed = Unconfirmed()
        unconfirmed.add("polled", 1)
        unconfirmed.note_ping()

        assert unconfirmed.note_pong() == []

    async def test_ping_sent_after_upgrade_confirms_polled_messages(self) -> None:
        unconfirmed = Unconfirmed()
        unconfirmed.add("polled", 1)

        unconfirmed.note_upgrade()

        assert unconfirmed.note_pong() == []
        unconfirmed.note_ping()
        assert unconfirmed.note_pong() == ["polled"]
        assert unconfirmed.note_poll(taken=1) == []

    async def test_messages_over_limit_are_never_confirmed(self) -> None:
        unconfirmed = Unconfirmed()
        for number in range(MAX_UNCONFIRMED + 1):
            unconfirmed.add(number, number)

        assert len(unconfirmed.note_poll(taken=MAX_UNCONFIRMED + 1)) == MAX_UNCONFIRMED


@attrs.define(eq=False)
class Connection(ClientSession):
    """A connection that records when it may be pinged again."""

    reminded: asyncio.Future[float] = attrs.field(
        factory=lambda: asyncio.get_running_loop().create_future()
    )

    def may_ping_again(self) -> None:
        self.reminded.set_result(asyncio.get_running_loop().time())


class TestTimer:
    async def test_connection_is_notified_after_interval(self) -> None:
        timer, first, second = ConfirmationTimer(), Connection(), Connection()
        now = asyncio.get_running_loop().time()

        timer.start(first, now)
        timer.start(second, now + 0.05)

        async with asyncio.timeout(10):
            assert await first.reminded >= now + CONFIRMATION_INTERVAL_SECONDS
            assert await second.reminded >= now + 0.05 + CONFIRMATION_INTERVAL_SECONDS

    async def test_stopped_timer_notifies_nothing_and_can_be_restarted(self) -> None:
        timer, stopped, later = ConfirmationTimer(), Connection(), Connection()
        now = asyncio.get_running_loop().time()
        timer.start(stopped, now)

        timer.stop()
        timer.start(later, now)

        async with asyncio.timeout(10):
            await later.reminded
        assert not stopped.reminded.done()
