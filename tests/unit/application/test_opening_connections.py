"""Messages and membership changes while a connection opens."""

import asyncio

import pytest

from socketio_app.application.events import (
    MessageDelivered,
    MessageSent,
)
from socketio_app.application.ports import Identity
from socketio_app.domain.identifiers import ConnectionId
from tests.builders import ADA, BOB, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import Gate, HookedStore

pytestmark = pytest.mark.anyio


def contents(device: Device) -> list[str]:
    """Return the contents of messages sent to a connection, in order."""
    return [event.message.content for event in device.of(MessageSent)]


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
