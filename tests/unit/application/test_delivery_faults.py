"""Delivery receipts while the store is slow or unavailable."""

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.application.events import MessageDelivered, MessageSent
from socketio_app.domain.identifiers import MessageId
from tests.builders import ADA, BOB, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import Gate, HookedStore, Outage

pytestmark = pytest.mark.anyio


def delivered(device: Device) -> list[MessageId]:
    """Return the messages whose delivery a connection was notified of, in order."""
    return [event.message.message_id for event in device.of(MessageDelivered)]


class TestUnavailableStore:
    @pytest.fixture
    def outage(self) -> Outage:
        return Outage()

    @pytest.fixture
    def live(self, outage: Outage) -> LiveChat:
        return LiveChat(store=HookedStore(before=outage))

    async def test_message_is_sent_if_delivery_cannot_be_stored(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down = {"delivered"}

        sent = await ada.execute(personal(BOB))

        await live.settled()
        assert not sent.duplicate
        assert bob.of(MessageSent) == [MessageSent(sent.message)]

    async def test_sender_is_not_notified_if_delivery_cannot_be_stored(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down = {"delivered"}

        await ada.execute(personal(BOB))
        bob.confirm()

        await live.settled()
        assert delivered(ada) == []

    async def test_message_is_pushed_again_to_next_connection(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down = {"delivered"}
        sent = await ada.execute(personal(BOB))
        bob.confirm()
        await live.settled()
        outage.down = set()

        bobs_phone = await live.connect(BOB)
        bobs_phone.confirm()
        await live.settled()

        assert bobs_phone.of(MessageSent) == [MessageSent(sent.message)]
        assert delivered(ada) == [sent.message.message_id]

    async def test_later_delivery_covers_earlier_message(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down = {"delivered"}
        await ada.execute(personal(BOB))
        bob.confirm()
        await live.settled()
        outage.down = set()
        later = await ada.execute(personal(BOB))
        bob.confirm()
        await live.settled()

        bob.close()
        bob = await live.connect(BOB)

        assert delivered(ada) == [later.message.message_id]
        assert bob.of(MessageSent) == []

    async def test_connection_opens_if_delivery_cannot_be_stored(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada = await live.connect(ADA)
        sent = await ada.execute(personal(BOB))
        outage.down = {"delivered"}

        bob = await live.connect(BOB)
        bob.confirm()
        await live.settled()

        assert bob.of(MessageSent) == [MessageSent(sent.message)]
        assert delivered(ada) == []


class TestSlowStore:
    """The sender is notified of each delivery, in whatever order the store handles them."""

    @pytest.fixture
    def gate(self) -> Gate:
        return Gate()

    @pytest.fixture
    def live(self, gate: Gate) -> LiveChat:
        return LiveChat(store=HookedStore(before=gate))

    async def test_concurrent_deliveries_are_both_notified(
        self, live: LiveChat, gate: Gate
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        gate.hold_next("delivered")
        first = await ada.execute(personal(BOB))
        bob.confirm()
        await gate.reached()

        second = await ada.execute(personal(BOB))
        bob.confirm()
        await wait_all_tasks_blocked()
        gate.release()
        await live.settled()

        sent = [each.message.message_id for each in (first, second)]
        assert sorted(delivered(ada)) == sorted(sent)

    async def test_new_delivery_does_not_hide_pending_ones(
        self, live: LiveChat, gate: Gate
    ) -> None:
        ada = await live.connect(ADA)
        missed = [(await ada.execute(personal(BOB))).message.message_id for _ in range(3)]
        gate.hold_next("delivered")
        bob = await live.connect(BOB)
        bob.confirm()
        await gate.reached()

        new = await ada.execute(personal(BOB))
        bob.confirm()
        await wait_all_tasks_blocked()
        gate.release()
        await live.settled()

        sent = [*missed, new.message.message_id]
        assert sorted(delivered(ada)) == sorted(sent)
