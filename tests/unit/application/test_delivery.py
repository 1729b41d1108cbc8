"""Delivery receipts."""

import asyncio
from datetime import timedelta

import pytest

from socketio_app.application.commands import JoinRoom
from socketio_app.application.events import MessageDelivered, MessageSent
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import MessageId
from tests.builders import ADA, BOB, EVE, LOBBY, group, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import Gate, HookedStore, Outage

pytestmark = pytest.mark.anyio


def delivered(device: Device) -> list[MessageId]:
    """Return the messages whose delivery a connection was notified of, in order."""
    return [event.message.message_id for event in device.of(MessageDelivered)]


class TestOnlineRecipient:
    async def test_all_connections_of_sender_are_notified(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]

        sent = await ada.execute(personal(BOB))
        bob.confirm()

        assert delivered(ada) == delivered(adas_phone) == [sent.message.message_id]

    async def test_sender_is_not_notified_before_confirmation(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        await ada.execute(personal(BOB))

        assert bob.of(MessageSent)
        assert delivered(ada) == []

    async def test_unconfirmed_message_is_pushed_to_next_connection(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        sent = await ada.execute(personal(BOB))
        bob.close()

        bob = await live.connect(BOB)

        assert bob.of(MessageSent) == [MessageSent(sent.message)]
        assert delivered(ada) == []

    async def test_confirmed_message_is_not_pushed_to_other_device(self, live: LiveChat) -> None:
        ada, bob, bobs_phone = [await live.connect(user) for user in (ADA, BOB, BOB)]
        await ada.execute(personal(BOB))
        bob.confirm()
        bobs_phone.close()

        bobs_phone = await live.connect(BOB)

        assert bobs_phone.of(MessageSent) == []

    async def test_sender_is_notified_once_despite_several_confirmations(
        self, live: LiveChat
    ) -> None:
        ada, *bobs = [await live.connect(user) for user in (ADA, BOB, BOB, BOB)]

        sent = await ada.execute(personal(BOB))
        for bob in bobs:
            bob.confirm()

        assert delivered(ada) == [sent.message.message_id]

    async def test_other_users_are_not_notified(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]

        await ada.execute(personal(BOB))
        bob.confirm()

        assert delivered(bob) == delivered(eve) == []

    async def test_receipt_has_message_and_time(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        sent = await ada.execute(personal(BOB, client_message_id="m1"))
        live.clock.advance(timedelta(seconds=1))

        bob.confirm()

        assert ada.events[-1] == MessageDelivered(sent.message, delivered_at=live.clock.now())

    async def test_retry_is_not_delivered_again(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        sent = await ada.execute(personal(BOB, client_message_id="m1"))
        bob.confirm()

        await ada.execute(personal(BOB, client_message_id="m1"))
        bob.confirm()

        assert delivered(ada) == [sent.message.message_id]

    async def test_message_to_self_is_delivered(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)

        sent = await ada.execute(personal(ADA))
        adas_phone.confirm()

        assert delivered(ada) == delivered(adas_phone) == [sent.message.message_id]

    async def test_host_message_is_delivered(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        sent = await live.host(ADA, personal(BOB))
        bob.confirm()

        assert delivered(ada) == [sent.message.message_id]


class TestOfflineRecipient:
    async def test_message_to_offline_recipient_is_not_delivered(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        bob.close()

        await ada.execute(personal(BOB))

        assert delivered(ada) == []

    async def test_sender_is_notified_when_recipient_reconnects(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        sent = await ada.execute(personal(BOB, client_message_id="m1"))
        live.clock.advance(timedelta(hours=1))

        (await live.connect(BOB)).confirm()

        receipt = MessageDelivered(sent.message, delivered_at=live.clock.now())
        assert ada.of(MessageDelivered) == adas_phone.of(MessageDelivered) == [receipt]

    async def test_missed_messages_are_delivered_once_in_order(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        sent = [(await ada.execute(personal(BOB))).message.message_id for _ in range(3)]

        for _ in range(2):
            bob = await live.connect(BOB)
            bob.confirm()
            bob.close()

        assert delivered(ada) == sent

    async def test_second_connection_delivers_nothing_again(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        sent = await ada.execute(personal(BOB))
        (await live.connect(BOB)).confirm()

        (await live.connect(BOB)).confirm()

        assert delivered(ada) == [sent.message.message_id]

    async def test_offline_sender_gets_no_receipt_later(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))
        ada.close()
        (await live.connect(BOB)).confirm()

        assert delivered(await live.connect(ADA)) == []

    async def test_missed_message_to_self_is_delivered(self, live: LiveChat) -> None:
        sent = await live.host(ADA, personal(ADA))

        ada = await live.connect(ADA)
        ada.confirm()

        assert delivered(ada) == [sent.message.message_id]


class TestBeforeTheAcknowledgement:
    """The message is stored, but its send is not acknowledged yet."""

    @pytest.fixture
    def gate(self) -> Gate:
        return Gate()

    @pytest.fixture
    def live(self, gate: Gate) -> LiveChat:
        return LiveChat(store=HookedStore(after=gate))

    @pytest.mark.parametrize("client_message_id", [None, "m1"])
    async def test_receipt_follows_acknowledgement(
        self, live: LiveChat, gate: Gate, client_message_id: str | None
    ) -> None:
        ada = await live.connect(ADA)
        gate.hold_next("append")
        sending = asyncio.create_task(
            ada.execute(personal(BOB, client_message_id=client_message_id))
        )
        await gate.reached()

        (await live.connect(BOB)).confirm()
        await live.settled()
        assert delivered(ada) == []

        gate.release()
        sent = await sending
        assert delivered(ada) == []
        live.clock.advance(timedelta(0))
        assert delivered(ada) == [sent.message.message_id]

    async def test_receipt_follows_acknowledgement_of_retry(
        self, live: LiveChat, gate: Gate
    ) -> None:
        ada = await live.connect(ADA)
        sent = await ada.execute(personal(BOB, client_message_id="m1"))
        bob = await live.connect(BOB)
        gate.hold_next("append")
        retrying = asyncio.create_task(ada.execute(personal(BOB, client_message_id="m1")))
        await gate.reached()

        bob.confirm()
        await live.settled()
        assert delivered(ada) == []

        gate.release()
        await retrying
        live.clock.advance(timedelta(0))
        assert delivered(ada) == [sent.message.message_id]

    async def test_failed_retry_does_not_block_receipt(self) -> None:
        outage, gate = Outage(), Gate()
        live = LiveChat(store=HookedStore(before=outage, after=gate))
        ada = await live.connect(ADA)
        sent = await live.host(ADA, personal(BOB, client_message_id="m1"))
        bob = await live.connect(BOB)
        outage.down = {"append"}

        with pytest.raises(Unavailable):
            await ada.execute(personal(BOB, client_message_id="m1"))
        bob.confirm()
        await live.settled()

        assert delivered(ada) == [sent.message.message_id]


class TestRoom:
    async def test_room_receipt_is_sent_once_to_all_connections_of_sender(
        self, live: LiveChat
    ) -> None:
        devices = [await live.connect(user) for user in (ADA, ADA, BOB, EVE)]
        for device in devices:
            await device.execute(JoinRoom(LOBBY))
        ada, adas_phone, bob, eve = devices

        sent = await ada.execute(group(LOBBY))

        assert delivered(ada) == delivered(adas_phone) == [sent.message.message_id]
        assert delivered(bob) == delivered(eve) == []

    async def test_room_receipt_has_message_and_time(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(JoinRoom(LOBBY))

        sent = await ada.execute(group(LOBBY, client_message_id="m1"))

        assert ada.events[-1] == MessageDelivered(sent.message, delivered_at=live.clock.now())

    async def test_retry_is_not_delivered_again(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(JoinRoom(LOBBY))
        sent = await ada.execute(group(LOBBY, client_message_id="m1"))

        await ada.execute(group(LOBBY, client_message_id="m1"))

        assert delivered(ada) == [sent.message.message_id]

    async def test_reconnecting_member_delivers_nothing_again(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        bob.close()
        sent = await ada.execute(group(LOBBY))

        bob = await live.connect(BOB)

        assert delivered(ada) == [sent.message.message_id]
        assert bob.of(MessageSent) == []
