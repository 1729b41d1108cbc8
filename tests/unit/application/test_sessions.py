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
from tests.builders import ADA, BOB, LOBBY, NOON, group, personal
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
