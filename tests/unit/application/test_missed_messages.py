"""Messages that are pushed to a new connection."""

import pytest

from socketio_app.application.commands import JoinRoom
from socketio_app.application.events import (
    MessageDelivered,
    MessageSent,
)
from socketio_app.application.limits import Limits
from tests.builders import ADA, BOB, EVE, LOBBY, group, personal
from tests.chat_harness import Device, LiveChat

pytestmark = pytest.mark.anyio


def contents(device: Device) -> list[str]:
    """Return the contents of messages sent to a connection, in order."""
    return [event.message.content for event in device.of(MessageSent)]


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
