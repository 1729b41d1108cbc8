"""Opening and closing connections."""

import asyncio
from datetime import timedelta

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.application.commands import JoinRoom, LeaveRoom, StartTyping
from socketio_app.application.events import (
    ClientLimits,
    Connected,
    MessageDelivered,
    MessageSent,
    UserJoined,
    UserLeft,
)
from socketio_app.application.limits import Limits
from socketio_app.application.ports import Identity
from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.conversations import Person, Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import ConnectionId
from socketio_app.domain.typing_board import TypingStopped
from tests.builders import ADA, BOB, EVE, LOBBY, NOON, group, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import Gate, HookedStore, Outage

pytestmark = pytest.mark.anyio


def contents(device: Device) -> list[str]:
    """Return the contents of messages sent to a connection, in order."""
    return [event.message.content for event in device.of(MessageSent)]


class TestConnected:
    async def test_connected_is_first_event_and_sent_once(self, live: LiveChat) -> None:
        await live.host(ADA, personal(BOB))

        bob = await live.connect(BOB)

        assert [type(event) for event in bob.events] == [Connected, MessageSent]

    async def test_connected_describes_connection(self, live: LiveChat) -> None:
        live.clock.advance(timedelta(seconds=5))

        ada = await live.connect(ADA, token_ends=NOON + timedelta(hours=1))

        assert ada.events[0] == Connected(
            user_id=ADA,
            connection_id=ada.connection_id,
            epoch=live.store.epoch,
            server_time=live.clock.now(),
            token_expires_at=NOON + timedelta(hours=1),
            limits=ClientLimits(
                content_chars=4096,
                user_id_chars=128,
                room_id_chars=128,
                client_message_id_chars=64,
                page_messages=200,
                catch_up_positions=1000,
                rooms_per_user=1000,
                typing_ttl_ms=8000,
                typing_renew_ms=3000,
            ),
            since=CatchUpCursor.at(live.store.epoch, 0),
        )

    async def test_connected_has_no_expiry_if_token_has_none(self, live: LiveChat) -> None:
        (connected,) = (await live.connect(ADA, token_ends=None)).of(Connected)

        assert connected.token_expires_at is None

    async def test_connected_has_configured_limits(self) -> None:
        live = LiveChat(
            Limits(
                max_content_chars=10,
                max_rooms_per_user=2,
                typing_ttl=timedelta(milliseconds=1500),
                typing_renew=timedelta(milliseconds=333),
            )
        )

        (connected,) = (await live.connect(ADA)).of(Connected)

        limits = connected.limits
        assert (limits.content_chars, limits.rooms_per_user) == (10, 2)
        assert (limits.typing_ttl_ms, limits.typing_renew_ms) == (1500, 333)

    async def test_connected_is_not_sent_to_other_connections(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        await live.connect(ADA)

        assert len(ada.events) == len(bob.events) == 1


class TestMissedMessages:
    async def test_missed_messages_are_pushed_in_order(self, live: LiveChat) -> None:
        for content in ("one", "two", "three"):
            await live.host(ADA, personal(BOB, content))

        assert contents(await live.connect(BOB)) == ["one", "two", "three"]

    async def test_conversations_with_newest_messages_come_first(self, live: LiveChat) -> None:
        await live.host(ADA, personal(BOB, "Ada's first"))
        await live.host(EVE, personal(BOB, "Eve's"))
        await live.host(ADA, personal(BOB, "Ada's second"))

        assert contents(await live.connect(BOB)) == ["Ada's first", "Ada's second", "Eve's"]

    async def test_only_unconfirmed_messages_are_pushed(self, live: LiveChat) -> None:
        bob = await live.connect(BOB)
        await live.host(ADA, personal(BOB, "had"))
        bob.confirm()
        bob.close()
        await live.host(ADA, personal(BOB, "missed"))

        assert contents(await live.connect(BOB)) == ["missed"]

    async def test_confirmed_messages_are_not_pushed_again(self, live: LiveChat) -> None:
        await live.host(ADA, personal(BOB))
        bob = await live.connect(BOB)
        bob.confirm()
        bobs_phone = await live.connect(BOB)
        bob.close()
        bobs_phone.close()

        assert contents(bobs_phone) == []
        assert contents(await live.connect(BOB)) == []

    async def test_own_messages_are_not_pushed(self, live: LiveChat) -> None:
        await live.host(ADA, personal(BOB))

        assert contents(await live.connect(ADA)) == []

    async def test_messages_to_self_are_pushed(self, live: LiveChat) -> None:
        await live.host(ADA, personal(ADA, "a note"))

        assert contents(await live.connect(ADA)) == ["a note"]

    async def test_room_messages_are_not_pushed(self, live: LiveChat) -> None:
        for user in (ADA, BOB):
            await live.host(user, JoinRoom(LOBBY))
        await live.host(ADA, group(LOBBY))

        assert contents(await live.connect(BOB)) == []

    async def test_push_is_limited_and_continues_next_time(self) -> None:
        live = LiveChat(Limits(max_offline_push=3, rates={}))
        for content in "abcde":
            await live.host(ADA, personal(BOB, content))

        pushed = []
        for _ in range(3):
            bob = await live.connect(BOB)
            bob.confirm()
            pushed.append(contents(bob))

        assert pushed == [["a", "b", "c"], ["d", "e"], []]

    async def test_later_delivery_covers_messages_above_push_limit(self) -> None:
        live = LiveChat(Limits(max_offline_push=3, rates={}))
        for content in "abcde":
            await live.host(ADA, personal(BOB, content))
        bob = await live.connect(BOB)
        await live.host(ADA, personal(BOB, "new"))
        bob.confirm()
        bob.close()

        assert contents(bob) == ["a", "b", "c", "new"]
        assert contents(await live.connect(BOB)) == []

    async def test_only_pushed_messages_are_delivered(self) -> None:
        live = LiveChat(Limits(max_offline_push=2, rates={}))
        ada = await live.connect(ADA)
        sent = [(await ada.execute(personal(BOB))).message.message_id for _ in range(3)]

        (await live.connect(BOB)).confirm()

        assert [event.message.message_id for event in ada.of(MessageDelivered)] == sent[:2]

    async def test_push_limit_of_zero_pushes_nothing(self) -> None:
        live = LiveChat(Limits(max_offline_push=0, rates={}))
        await live.host(ADA, personal(BOB))

        assert contents(await live.connect(BOB)) == []


class TestWhileAConnectionOpens:
    """Between `prepare` and `open`, while the transport holds back live events."""

    async def test_live_messages_follow_missed_ones(self, live: LiveChat) -> None:
        await live.host(ADA, personal(BOB, "missed"))
        connection = live.broadcast.open(BOB, ConnectionId("phone"))
        opening = await live.chat.sessions.prepare(Identity(BOB, None), ConnectionId("phone"))
        await live.host(ADA, personal(BOB, "meanwhile"))

        connection.release(opening)

        bobs_phone = Device(connection, live.chat, live.broadcast)
        assert contents(bobs_phone) == ["missed", "meanwhile"]

    async def test_live_messages_are_delivered_after_opening(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        connection = live.broadcast.open(BOB, ConnectionId("phone"))
        opening = await live.chat.sessions.prepare(Identity(BOB, None), ConnectionId("phone"))
        sent = await ada.execute(personal(BOB))
        assert ada.of(MessageDelivered) == []

        connection.release(opening)
        live.chat.sessions.open(opening)
        Device(connection, live.chat, live.broadcast).confirm()

        assert [each.message.message_id for each in ada.of(MessageDelivered)] == [
            sent.message.message_id
        ]

    async def test_own_live_messages_are_not_delivered(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        connection = live.broadcast.open(BOB, ConnectionId("phone"))
        opening = await live.chat.sessions.prepare(Identity(BOB, None), ConnectionId("phone"))
        ada.close()
        await bob.execute(personal(ADA))

        connection.release(opening)
        live.chat.sessions.open(opening)
        Device(connection, live.chat, live.broadcast).confirm()

        assert MessageSent in map(type, connection.events)
        assert bob.of(MessageDelivered) == []

    async def test_connection_closed_before_opening_delivers_nothing(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB, "missed"))
        connection = live.broadcast.open(BOB, ConnectionId("phone"))
        await live.chat.sessions.prepare(Identity(BOB, None), ConnectionId("phone"))

        live.broadcast.close(connection)
        live.chat.sessions.close(BOB, ConnectionId("phone"))

        assert ada.of(MessageDelivered) == []
        assert contents(await live.connect(BOB)) == ["missed"]

    async def test_stored_message_does_not_overtake_live_one(
        self,
    ) -> None:
        before, after = Gate(), Gate()
        live = LiveChat(store=HookedStore(before, after))
        ada = await live.connect(ADA)
        await live.connect(BOB)
        before.hold_next("undelivered")
        connecting = asyncio.create_task(live.connect(BOB))
        await before.reached()

        # Broadcast, also to the connection that is opening, which holds it back.
        await ada.execute(personal(BOB, "first"))
        # Stored, so that the store can return it as undelivered, but not broadcast yet.
        after.hold_next("append")
        second = asyncio.create_task(ada.execute(personal(BOB, "second")))
        await after.reached()
        before.release()
        bobs_phone = await connecting
        after.release()
        await second

        assert contents(bobs_phone)[:2] == ["first", "second"]


class TestRooms:
    async def test_new_connection_gets_room_messages(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))

        bobs_phone = await live.connect(BOB)
        await ada.execute(group(LOBBY, "hello"))

        assert contents(bob) == contents(bobs_phone) == ["hello"]

    async def test_membership_survives_reconnect(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        bob.close()

        bob = await live.connect(BOB)
        await ada.execute(group(LOBBY, "hello"))

        assert contents(bob) == ["hello"]
        assert (await bob.execute(group(LOBBY))).message.seq == 2

    async def test_join_while_offline_takes_effect(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for user in (ADA, BOB):
            await live.host(user, JoinRoom(LOBBY))

        bob = await live.connect(BOB)
        await ada.execute(group(LOBBY, "hello"))

        assert contents(bob) == ["hello"]

    async def test_leave_while_offline_takes_effect(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for user in (ADA, BOB):
            await live.host(user, JoinRoom(LOBBY))
        await live.host(BOB, LeaveRoom(LOBBY))

        bob = await live.connect(BOB)
        await ada.execute(group(LOBBY))

        assert contents(bob) == []

    async def test_reconnect_is_not_published(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        joined = list(ada.of(UserJoined))

        bob.close()
        await live.connect(BOB)

        assert ada.of(UserLeft) == []
        assert ada.of(UserJoined) == joined

    async def test_leave_during_opening_takes_effect(self) -> None:
        gate = Gate()
        live = LiveChat(store=HookedStore(after=gate))
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        gate.hold_next("rooms_of")
        connecting = asyncio.create_task(live.connect(BOB))
        await gate.reached()

        leaving = asyncio.create_task(bob.execute(LeaveRoom(LOBBY)))
        await wait_all_tasks_blocked()
        gate.release()
        bobs_phone = await connecting
        await leaving
        await ada.execute(group(LOBBY))

        assert contents(bob) == contents(bobs_phone) == []


class TestClosing:
    async def test_closing_last_connection_ends_typing(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        await ada.execute(StartTyping(Person(BOB)))
        await ada.execute(StartTyping(Room(LOBBY)))

        ada.close()
        assert bob.of(TypingStopped) == []
        adas_phone.close()

        assert len(bob.of(TypingStopped)) == 2

    async def test_closing_unopened_connection_does_not_end_typing(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(StartTyping(Person(BOB)))
        await live.chat.sessions.prepare(Identity(ADA, None), ConnectionId("phone"))

        live.chat.sessions.close(ADA, ConnectionId("phone"))

        assert bob.of(TypingStopped) == []

    async def test_close_is_idempotent(self, live: LiveChat) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        await ada.execute(StartTyping(Person(BOB)))

        for _ in range(2):
            live.chat.sessions.close(ADA, adas_phone.connection_id)

        assert bob.of(TypingStopped) == []
        assert live.chat.connection_count == 2

    async def test_message_to_closed_connection_is_not_delivered(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        bob.close()

        await ada.execute(personal(BOB))

        assert ada.of(MessageDelivered) == []


class TestUnavailable:
    @pytest.mark.parametrize("call", ["rooms_of", "undelivered"])
    async def test_connection_is_rejected_if_store_is_unavailable(self, call: str) -> None:
        outage = Outage()
        live = LiveChat(store=HookedStore(before=outage))
        outage.down = {call}

        with pytest.raises(Unavailable):
            await live.connect(ADA)

        assert live.chat.connection_count == 0
        outage.down = set()
        await live.connect(ADA)
        assert live.chat.connection_count == 1
