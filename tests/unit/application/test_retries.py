"""Sending a message again with the same `client_message_id`."""

import asyncio
from datetime import timedelta

import pytest

from socketio_app.application.commands import JoinRoom, SendMessage, StartTyping
from socketio_app.application.events import MessageSent
from socketio_app.domain.conversations import Person
from socketio_app.domain.errors import (
    Conflict,
)
from socketio_app.domain.typing_board import TypingStopped
from tests.builders import ADA, BOB, EVE, LOBBY, group, personal
from tests.chat_harness import Device, LiveChat
from tests.stores import HookedStore

pytestmark = pytest.mark.anyio


def contents(device: Device) -> list[str]:
    """Return the contents of messages sent to a connection, in order."""
    return [event.message.content for event in device.of(MessageSent)]


class TestRetry:
    async def test_retry_returns_first_message(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        first = await ada.execute(personal(BOB, "first", client_message_id="m1"))
        live.clock.advance(timedelta(seconds=1))

        retry = await ada.execute(personal(BOB, "first", client_message_id="m1"))

        assert retry.duplicate
        assert retry.message == first.message

    @pytest.mark.parametrize("command", [personal(BOB, "x", "m1"), group(LOBBY, "x", "m1")])
    async def test_retry_broadcasts_nothing(self, live: LiveChat, command: SendMessage) -> None:
        devices = [await live.connect(user) for user in (ADA, ADA, BOB)]
        for device in devices:
            await device.execute(JoinRoom(LOBBY))
        await devices[0].execute(command)
        before = [list(device.events) for device in devices]

        await devices[0].execute(command)

        assert [device.events for device in devices] == before

    async def test_retry_stores_nothing(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB, client_message_id="m1"))
        await ada.execute(personal(BOB, client_message_id="m1"))

        assert (await ada.execute(personal(BOB, client_message_id="m2"))).message.seq == 2

    async def test_retry_from_another_connection_is_duplicate(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        first = await ada.execute(personal(BOB, client_message_id="m1"))

        retry = await adas_phone.execute(personal(BOB, client_message_id="m1"))

        assert retry.duplicate
        assert retry.message == first.message

    async def test_retry_after_many_messages_is_duplicate(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        first, *_ = [
            await ada.execute(personal(BOB, client_message_id=f"m{number}"))
            for number in range(200)
        ]

        assert (await ada.execute(personal(BOB, client_message_id="m0"))).message == first.message

    async def test_retry_does_not_end_typing(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(personal(BOB, client_message_id="m1"))
        await ada.execute(StartTyping(Person(BOB)))

        await ada.execute(personal(BOB, client_message_id="m1"))

        assert bob.of(TypingStopped) == []

    async def test_concurrent_retries_are_broadcast_once(self) -> None:
        live = LiveChat(store=HookedStore(before=lambda _: asyncio.sleep(0)))
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        command = personal(BOB, client_message_id="m1")

        sent = await asyncio.gather(
            ada.execute(command), adas_phone.execute(command), ada.execute(command)
        )

        assert sorted(each.duplicate for each in sent) == [False, True, True]
        assert bob.of(MessageSent) == [MessageSent(sent[0].message)]

    @pytest.mark.parametrize(
        ("first", "changed"),
        [
            (personal(BOB, "first", "m1"), personal(BOB, "changed", "m1")),
            (group(LOBBY, "first", "m1"), group(LOBBY, "changed", "m1")),
        ],
    )
    async def test_retry_with_other_content_is_conflict(
        self, live: LiveChat, first: SendMessage, changed: SendMessage
    ) -> None:
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]
        for device in (ada, bob):
            await device.execute(JoinRoom(LOBBY))
        sent = await ada.execute(first)
        before = [list(device.events) for device in (ada, adas_phone, bob)]

        with pytest.raises(Conflict):
            await adas_phone.execute(changed)

        assert [device.events for device in (ada, adas_phone, bob)] == before
        assert (await ada.execute(first)).message == sent.message
        assert await live.store.messages.last_seq(sent.message.conversation) == 1

    async def test_concurrent_retry_with_other_content_is_conflict(self) -> None:
        live = LiveChat(store=HookedStore(before=lambda _: asyncio.sleep(0)))
        ada, adas_phone, bob = [await live.connect(user) for user in (ADA, ADA, BOB)]

        outcomes = await asyncio.gather(
            ada.execute(personal(BOB, "one", "m1")),
            adas_phone.execute(personal(BOB, "other", "m1")),
            return_exceptions=True,
        )

        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "Stored"]
        assert len(contents(bob)) == 1

    async def test_client_message_id_is_per_sender(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        await ada.execute(personal(BOB, client_message_id="m1"))

        assert not (await bob.execute(personal(ADA, client_message_id="m1"))).duplicate

    async def test_client_message_id_is_per_conversation(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(JoinRoom(LOBBY))
        await ada.execute(personal(BOB, client_message_id="m1"))

        assert not (await ada.execute(personal(EVE, client_message_id="m1"))).duplicate
        assert not (await ada.execute(group(LOBBY, client_message_id="m1"))).duplicate

    async def test_message_without_client_message_id_is_never_duplicate(
        self, live: LiveChat
    ) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for _ in range(2):
            await ada.execute(personal(BOB, "the same"))

        assert contents(bob) == ["the same", "the same"]
