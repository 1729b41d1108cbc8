"""Sending messages."""

import asyncio
from datetime import timedelta

import pytest

from socketio_app.application.commands import JoinRoom, LeaveRoom, SendMessage, StartTyping
from socketio_app.application.events import MessageDelivered, MessageSent
from socketio_app.application.limits import Limits
from socketio_app.domain.conversations import Pair, Person, Room
from socketio_app.domain.errors import (
    ContentTooLong,
    InvalidPayload,
    NotAMember,
    Unavailable,
)
from socketio_app.domain.identifiers import MessageId, RoomId
from socketio_app.domain.messaging import Message
from socketio_app.domain.typing_board import TypingStarted, TypingStopped
from tests.builders import ADA, BOB, DEN, EVE, LOBBY, group, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import HookedStore, Outage

pytestmark = pytest.mark.anyio


def contents(device: Device) -> list[str]:
    """Return the contents of messages sent to a connection, in order."""
    return [event.message.content for event in device.of(MessageSent)]


class TestSendToUser:
    async def test_all_connections_of_recipient_get_message(self, live: LiveChat) -> None:
        ada, bob, bobs_phone = [await live.connect(user) for user in (ADA, BOB, BOB)]

        sent = await ada.execute(personal(BOB))

        assert bob.of(MessageSent) == bobs_phone.of(MessageSent) == [MessageSent(sent.message)]

    async def test_other_connections_of_sender_get_message(self, live: LiveChat) -> None:
        ada, adas_phone, adas_tablet = [await live.connect(ADA) for _ in range(3)]

        sent = await ada.execute(personal(BOB))

        assert adas_phone.of(MessageSent) == [MessageSent(sent.message)]
        assert adas_tablet.of(MessageSent) == [MessageSent(sent.message)]

    async def test_sending_connection_does_not_get_message(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await live.connect(BOB)

        await ada.execute(personal(BOB))

        assert ada.of(MessageSent) == []

    async def test_other_users_do_not_get_message(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        for device in (ada, bob, eve):
            await device.execute(JoinRoom(LOBBY))
        before = list(eve.events)

        await ada.execute(personal(BOB))

        assert eve.events == before

    async def test_result_is_stored_message(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        live.clock.advance(timedelta(milliseconds=1234))

        sent = await ada.execute(personal(BOB, "hello", client_message_id="m1"))

        assert not sent.duplicate
        assert sent.message == Message(
            MessageId("message-000001"),
            Pair.of(ADA, BOB),
            seq=1,
            from_user_id=ADA,
            to_user_id=BOB,
            content="hello",
            created_at=live.clock.now(),
            client_message_id=sent.message.client_message_id,
        )
        assert sent.message.client_message_id == "m1"

    async def test_reply_continues_same_conversation(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(personal(BOB))

        sent = await bob.execute(personal(ADA))

        assert sent.message.seq == 2
        assert ada.of(MessageSent) == [MessageSent(sent.message)]

    async def test_seq_is_per_pair(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)

        seqs = [(await ada.execute(personal(user))).message.seq for user in (BOB, EVE, BOB)]

        assert seqs == [1, 1, 2]

    async def test_message_to_offline_user_is_stored(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)

        sent = await ada.execute(personal(BOB))

        assert sent.message.seq == 1
        assert await live.store.deliveries.undelivered(BOB, 10) == [sent.message]

    async def test_host_message_reaches_all_connections_of_sender(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]

        sent = await live.host(ADA, personal(BOB))

        for device in (ada, adas_phone, bob):
            assert device.of(MessageSent) == [MessageSent(sent.message)]


class TestSendToSelf:
    async def test_all_connections_including_sending_one_get_message_once(
        self, live: LiveChat
    ) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]

        sent = await ada.execute(personal(ADA))

        assert ada.of(MessageSent) == adas_phone.of(MessageSent) == [MessageSent(sent.message)]
        assert bob.of(MessageSent) == []

    async def test_messages_to_self_are_separate_conversation(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))

        sent = await ada.execute(personal(ADA))

        assert sent.message.conversation == Pair(ADA, ADA)
        assert sent.message.seq == 1


class TestSendToRoom:
    async def test_all_other_connections_of_members_get_message(self, live: LiveChat) -> None:
        ada, adas_phone, bob, bobs_phone = [await live.connect(u) for u in (ADA, ADA, BOB, BOB)]
        await ada.execute(JoinRoom(LOBBY))
        await bob.execute(JoinRoom(LOBBY))

        sent = await ada.execute(group(LOBBY))

        assert ada.of(MessageSent) == []
        for device in (adas_phone, bob, bobs_phone):
            assert device.of(MessageSent) == [MessageSent(sent.message)]

    async def test_result_is_stored_message(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(JoinRoom(LOBBY))

        sent = await ada.execute(group(LOBBY, "hello"))

        assert sent.message.conversation == Room(LOBBY)
        assert sent.message.seq == 1
        assert sent.message.content == "hello"
        assert sent.message.to_user_id is None

    async def test_members_of_other_rooms_do_not_get_message(self, live: LiveChat) -> None:
        ada, eve = await live.connect(ADA), await live.connect(EVE)
        await ada.execute(JoinRoom(LOBBY))
        await eve.execute(JoinRoom(DEN))

        await ada.execute(group(LOBBY))

        assert eve.of(MessageSent) == []

    async def test_former_member_does_not_get_message(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        await bob.execute(LeaveRoom(LOBBY))

        await ada.execute(group(LOBBY))

        assert bob.of(MessageSent) == []

    async def test_message_from_non_member_is_rejected(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await bob.execute(JoinRoom(LOBBY))

        with pytest.raises(NotAMember):
            await ada.execute(group(LOBBY))

        assert bob.of(MessageSent) == []
        assert await live.store.messages.last_seq(Room(LOBBY)) == 0

    async def test_message_from_former_member_is_rejected(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(JoinRoom(LOBBY))
        await ada.execute(LeaveRoom(LOBBY))

        with pytest.raises(NotAMember):
            await ada.execute(group(LOBBY))

    async def test_message_to_unknown_room_is_rejected(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)

        with pytest.raises(NotAMember):
            await ada.execute(group(LOBBY))

    async def test_host_message_for_non_member_is_rejected(self, live: LiveChat) -> None:
        with pytest.raises(NotAMember):
            await live.host(ADA, group(LOBBY))

    async def test_room_named_like_user_is_separate(self, live: LiveChat) -> None:
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        room_bob = RoomId(BOB)
        for device in (ada, eve):
            await device.execute(JoinRoom(room_bob))

        to_room = await ada.execute(group(room_bob))
        to_bob = await ada.execute(personal(BOB))

        assert eve.of(MessageSent) == [MessageSent(to_room.message)]
        assert bob.of(MessageSent) == [MessageSent(to_bob.message)]


class TestContent:
    @pytest.mark.parametrize("content", [" x ", "\n\tx", "\0", "<b>&amp;</b>", "e\u0301", "👩‍👩‍👧"])
    async def test_content_is_delivered_unchanged(self, live: LiveChat, content: str) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        sent = await ada.execute(personal(BOB, content))

        assert sent.message.content == content
        assert contents(bob) == [content]

    async def test_content_at_limit_is_accepted(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        await ada.execute(personal(BOB, "x" * 4096))

        assert contents(bob) == ["x" * 4096]

    async def test_content_over_limit_is_rejected(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)

        with pytest.raises(ContentTooLong):
            await ada.execute(personal(BOB, "x" * 4097))

    async def test_content_limit_is_configurable(self) -> None:
        live = LiveChat(Limits(max_content_chars=5, rates={}))
        ada = await live.connect(ADA)

        await ada.execute(personal(BOB, "12345"))
        with pytest.raises(ContentTooLong):
            await ada.execute(personal(BOB, "123456"))

    @pytest.mark.parametrize("content", ["", " \n", "\ud800"])
    async def test_invalid_content_is_rejected(self, live: LiveChat, content: str) -> None:
        ada = await live.connect(ADA)

        with pytest.raises(InvalidPayload) as rejected:
            await ada.execute(personal(BOB, content))

        assert rejected.value.field == "content"

    @pytest.mark.parametrize("content", ["", "x" * 4097])
    async def test_rejected_content_has_no_effect(self, live: LiveChat, content: str) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(Person(BOB)))
        before = list(bob.events)

        with pytest.raises((InvalidPayload, ContentTooLong)):
            await ada.execute(personal(BOB, content, client_message_id="m1"))

        assert bob.events == before
        assert not (await ada.execute(personal(BOB, client_message_id="m1"))).duplicate


class TestUnavailable:
    @pytest.mark.parametrize("command", [personal(BOB), group(LOBBY)])
    async def test_message_that_is_not_stored_is_not_broadcast(self, command: SendMessage) -> None:
        outage = Outage()
        live = LiveChat(store=HookedStore(before=outage))
        devices = [await live.connect(user) for user in (ADA, ADA, BOB)]
        for device in devices:
            await device.execute(JoinRoom(LOBBY))
        await devices[0].execute(StartTyping(command.target))
        before = [list(device.events) for device in devices]
        outage.down = {"append"}

        with pytest.raises(Unavailable):
            await devices[0].execute(command)

        assert [device.events for device in devices] == before


class TestOrder:
    async def test_typing_ends_before_message_is_broadcast(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(Person(BOB)))

        await ada.execute(personal(BOB))

        _, *events = map(type, bob.events)
        assert events == [TypingStarted, TypingStopped, MessageSent]

    async def test_message_is_broadcast_before_receipt(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        bob = await live.connect(BOB)

        await ada.execute(personal(BOB))
        bob.confirm()

        _, *events = map(type, adas_phone.events)
        assert events == [MessageSent, MessageDelivered]

    async def test_concurrent_messages_are_broadcast_in_order_of_seq(self) -> None:
        async def wait(call: str) -> None:
            # The first append waits longest.
            while call == "append" and waiting:
                waiting.pop()
                await asyncio.sleep(0)

        live = LiveChat(store=HookedStore(before=wait, after=lambda _: asyncio.sleep(0)))
        ada, bob, eve = [await live.connect(user) for user in (ADA, BOB, EVE)]
        for device in (ada, bob, eve):
            await device.execute(JoinRoom(LOBBY))

        waiting = ["turn"] * 5
        sent = await asyncio.gather(
            *[device.execute(group(LOBBY)) for _ in range(10) for device in (ada, bob)]
        )

        assert {each.message.seq for each in sent} == set(range(1, 21))
        assert [event.message.seq for event in eve.of(MessageSent)] == list(range(1, 21))
