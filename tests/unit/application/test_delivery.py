"""Telling senders that their messages have come."""

import asyncio
from datetime import timedelta

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.application.commands import JoinRoom
from socketio_app.application.events import MessageDelivered, MessageSent
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import MessageId
from tests.builders import ADA, BOB, EVE, LOBBY, group, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import Gate, HookedStore, Outage

pytestmark = pytest.mark.anyio


def delivered(device: Device) -> list[MessageId]:
    """Of which messages a connection was told that they have come, in order."""
    return [event.message.message_id for event in device.of(MessageDelivered)]


class TestLive:
    async def test_all_of_the_senders_connections_are_told(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]

        sent = await ada.do(personal(BOB))
        bob.confirm()

        assert delivered(ada) == delivered(adas_phone) == [sent.message.message_id]

    async def test_nobody_is_notified_until_the_recipients_client_has_confirmed(
        self, live: LiveChat
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        await ada.do(personal(BOB))

        assert bob.of(MessageSent)
        assert delivered(ada) == []

    async def test_what_was_not_confirmed_is_pushed_to_the_next_connection(
        self, live: LiveChat
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        sent = await ada.do(personal(BOB))
        bob.close()

        bob = await live.connect(BOB)

        assert bob.of(MessageSent) == [MessageSent(sent.message)]
        assert delivered(ada) == []

    async def test_what_one_device_confirmed_is_not_pushed_to_another(self, live: LiveChat) -> None:
        ada, bob, bobs_phone = [await live.connect(user) for user in (ADA, BOB, BOB)]
        await ada.do(personal(BOB))
        bob.confirm()
        bobs_phone.close()

        bobs_phone = await live.connect(BOB)

        assert bobs_phone.of(MessageSent) == []

    async def test_the_sender_is_told_once_however_many_connections_the_recipient_has(
        self, live: LiveChat
    ) -> None:
        ada, *bobs = [await live.connect(user) for user in (ADA, BOB, BOB, BOB)]

        sent = await ada.do(personal(BOB))
        for bob in bobs:
            bob.confirm()

        assert delivered(ada) == [sent.message.message_id]

    async def test_nobody_else_is_told(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]

        await ada.do(personal(BOB))
        bob.confirm()

        assert delivered(bob) == delivered(eve) == []

    async def test_what_is_told_names_the_message_and_the_time(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        sent = await ada.do(personal(BOB, client_message_id="m1"))
        live.clock.advance(timedelta(seconds=1))

        bob.confirm()

        assert ada.told[-1] == MessageDelivered(sent.message, delivered_at=live.clock.now())

    async def test_a_retry_is_not_delivered_again(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        sent = await ada.do(personal(BOB, client_message_id="m1"))
        bob.confirm()

        await ada.do(personal(BOB, client_message_id="m1"))
        bob.confirm()

        assert delivered(ada) == [sent.message.message_id]

    async def test_a_note_to_oneself_is_delivered(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)

        sent = await ada.do(personal(ADA))
        adas_phone.confirm()

        assert delivered(ada) == delivered(adas_phone) == [sent.message.message_id]

    async def test_the_hosts_message_is_delivered(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        sent = await live.host(ADA, personal(BOB))
        bob.confirm()

        assert delivered(ada) == [sent.message.message_id]


class TestLater:
    async def test_while_the_recipient_is_away_nobody_is_told(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        bob.close()

        await ada.do(personal(BOB))

        assert delivered(ada) == []

    async def test_when_the_recipient_comes_back_the_sender_is_told(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        sent = await ada.do(personal(BOB, client_message_id="m1"))
        live.clock.advance(timedelta(hours=1))

        (await live.connect(BOB)).confirm()

        told = MessageDelivered(sent.message, delivered_at=live.clock.now())
        assert ada.of(MessageDelivered) == adas_phone.of(MessageDelivered) == [told]

    async def test_each_message_is_told_once_and_in_order(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        sent = [(await ada.do(personal(BOB))).message.message_id for _ in range(3)]

        for _ in range(2):
            bob = await live.connect(BOB)
            bob.confirm()
            bob.close()

        assert delivered(ada) == sent

    async def test_a_second_connection_of_the_recipient_delivers_nothing_again(
        self, live: LiveChat
    ) -> None:
        ada = await live.connect(ADA)
        sent = await ada.do(personal(BOB))
        (await live.connect(BOB)).confirm()

        (await live.connect(BOB)).confirm()

        assert delivered(ada) == [sent.message.message_id]

    async def test_a_sender_who_is_away_by_then_is_not_told_later(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.do(personal(BOB))
        ada.close()
        (await live.connect(BOB)).confirm()

        assert delivered(await live.connect(ADA)) == []

    async def test_a_note_to_oneself_is_delivered_when_one_comes_back(self, live: LiveChat) -> None:
        sent = await live.host(ADA, personal(ADA))

        ada = await live.connect(ADA)
        ada.confirm()

        assert delivered(ada) == [sent.message.message_id]


class TestBeforeTheAcknowledgement:
    """The store has a message, and its sender has no answer yet."""

    @pytest.fixture
    def gate(self) -> Gate:
        return Gate()

    @pytest.fixture
    def live(self, gate: Gate) -> LiveChat:
        return LiveChat(store=HookedStore(after=gate))

    @pytest.mark.parametrize("client_message_id", [None, "m1"])
    async def test_the_sender_is_notified_after_the_acknowledgement(
        self, live: LiveChat, gate: Gate, client_message_id: str | None
    ) -> None:
        ada = await live.connect(ADA)
        gate.hold_next("append")
        sending = asyncio.create_task(ada.do(personal(BOB, client_message_id=client_message_id)))
        await gate.reached()

        (await live.connect(BOB)).confirm()
        await live.settled()
        assert delivered(ada) == []

        gate.let_go()
        sent = await sending
        assert delivered(ada) == []
        live.clock.advance(timedelta(0))
        assert delivered(ada) == [sent.message.message_id]

    async def test_a_retry_on_another_connection_is_acknowledged_first(
        self, live: LiveChat, gate: Gate
    ) -> None:
        ada = await live.connect(ADA)
        sent = await ada.do(personal(BOB, client_message_id="m1"))
        bob = await live.connect(BOB)
        gate.hold_next("append")
        retrying = asyncio.create_task(ada.do(personal(BOB, client_message_id="m1")))
        await gate.reached()

        bob.confirm()
        await live.settled()
        assert delivered(ada) == []

        gate.let_go()
        await retrying
        live.clock.advance(timedelta(0))
        assert delivered(ada) == [sent.message.message_id]

    async def test_a_message_whose_append_fails_is_still_delivered(self) -> None:
        outage, gate = Outage(), Gate()
        live = LiveChat(store=HookedStore(before=outage, after=gate))
        ada = await live.connect(ADA)
        sent = await live.host(ADA, personal(BOB, client_message_id="m1"))
        bob = await live.connect(BOB)
        outage.down = {"append"}

        with pytest.raises(Unavailable):
            await ada.do(personal(BOB, client_message_id="m1"))
        bob.confirm()
        await live.settled()

        assert delivered(ada) == [sent.message.message_id]


class TestInARoom:
    async def test_all_of_the_senders_connections_are_told_once(self, live: LiveChat) -> None:
        devices = [await live.connect(user) for user in (ADA, ADA, BOB, EVE)]
        for device in devices:
            await device.do(JoinRoom(LOBBY))
        ada, adas_phone, bob, eve = devices

        sent = await ada.do(group(LOBBY))

        assert delivered(ada) == delivered(adas_phone) == [sent.message.message_id]
        assert delivered(bob) == delivered(eve) == []

    async def test_what_is_told_names_the_room_and_no_person(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.do(JoinRoom(LOBBY))

        sent = await ada.do(group(LOBBY, client_message_id="m1"))

        assert ada.told[-1] == MessageDelivered(sent.message, delivered_at=live.clock.now())

    async def test_a_retry_is_not_delivered_again(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.do(JoinRoom(LOBBY))
        sent = await ada.do(group(LOBBY, client_message_id="m1"))

        await ada.do(group(LOBBY, client_message_id="m1"))

        assert delivered(ada) == [sent.message.message_id]

    async def test_a_member_who_comes_back_delivers_nothing_again(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.do(JoinRoom(LOBBY))
        bob.close()
        sent = await ada.do(group(LOBBY))

        bob = await live.connect(BOB)

        assert delivered(ada) == [sent.message.message_id]
        assert bob.of(MessageSent) == []


class TestWhereItCannotBeNoted:
    @pytest.fixture
    def outage(self) -> Outage:
        return Outage()

    @pytest.fixture
    def live(self, outage: Outage) -> LiveChat:
        return LiveChat(store=HookedStore(before=outage))

    async def test_the_message_is_sent_all_the_same(self, live: LiveChat, outage: Outage) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down = {"delivered"}

        sent = await ada.do(personal(BOB))

        await live.settled()
        assert not sent.duplicate
        assert bob.of(MessageSent) == [MessageSent(sent.message)]

    async def test_the_sender_is_not_told(self, live: LiveChat, outage: Outage) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down = {"delivered"}

        await ada.do(personal(BOB))
        bob.confirm()

        await live.settled()
        assert delivered(ada) == []

    async def test_it_is_given_again_and_told_when_the_recipient_next_connects(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down = {"delivered"}
        sent = await ada.do(personal(BOB))
        bob.confirm()
        await live.settled()
        outage.down = set()

        bobs_phone = await live.connect(BOB)
        bobs_phone.confirm()
        await live.settled()

        assert bobs_phone.of(MessageSent) == [MessageSent(sent.message)]
        assert delivered(ada) == [sent.message.message_id]

    async def test_the_delivery_of_a_later_message_covers_it(
        self, live: LiveChat, outage: Outage
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        outage.down = {"delivered"}
        await ada.do(personal(BOB))
        bob.confirm()
        await live.settled()
        outage.down = set()
        later = await ada.do(personal(BOB))
        bob.confirm()
        await live.settled()

        bob.close()
        bob = await live.connect(BOB)

        assert delivered(ada) == [later.message.message_id]
        assert bob.of(MessageSent) == []

    async def test_a_connection_opens_all_the_same(self, live: LiveChat, outage: Outage) -> None:
        ada = await live.connect(ADA)
        sent = await ada.do(personal(BOB))
        outage.down = {"delivered"}

        bob = await live.connect(BOB)
        bob.confirm()
        await live.settled()

        assert bob.of(MessageSent) == [MessageSent(sent.message)]
        assert delivered(ada) == []


class TestWithAStoreThatTakesItsTime:
    """Each message's delivery is told, whichever note of it the store takes first."""

    @pytest.fixture
    def gate(self) -> Gate:
        return Gate()

    @pytest.fixture
    def live(self, gate: Gate) -> LiveChat:
        return LiveChat(store=HookedStore(before=gate))

    async def test_of_two_messages_at_once_both_deliveries_are_told(
        self, live: LiveChat, gate: Gate
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        gate.hold_next("delivered")
        first = await ada.do(personal(BOB))
        bob.confirm()
        await gate.reached()

        second = await ada.do(personal(BOB))
        bob.confirm()
        await wait_all_tasks_blocked()
        gate.let_go()
        await live.settled()

        sent = [each.message.message_id for each in (first, second)]
        assert sorted(delivered(ada)) == sorted(sent)

    async def test_a_message_that_comes_while_the_missed_ones_are_noted_hides_none_of_them(
        self, live: LiveChat, gate: Gate
    ) -> None:
        ada = await live.connect(ADA)
        missed = [(await ada.do(personal(BOB))).message.message_id for _ in range(3)]
        gate.hold_next("delivered")
        bob = await live.connect(BOB)
        bob.confirm()
        await gate.reached()

        new = await ada.do(personal(BOB))
        bob.confirm()
        await wait_all_tasks_blocked()
        gate.let_go()
        await live.settled()

        sent = [*missed, new.message.message_id]
        assert sorted(delivered(ada)) == sorted(sent)
