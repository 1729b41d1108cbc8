"""Catching up by positions, without a cursor."""

from collections.abc import Sequence

import pytest

from socketio_app.application.commands import (
    CatchUp,
    CaughtUp,
    JoinRoom,
    Position,
)
from socketio_app.application.events import MessageDelivered
from socketio_app.application.limits import Limits
from socketio_app.application.reading import CONVERSATIONS_PER_READ
from socketio_app.domain.conversations import Pair, Person, Room
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message
from tests.builders import ADA, BOB, EVE, LOBBY, group, personal
from tests.chat_harness import Device, LiveChat

pytestmark = pytest.mark.anyio

IN_LOBBY, TO_ADA, TO_BOB = Room(LOBBY), Person(ADA), Person(BOB)


def contents(messages: Sequence[Message]) -> list[str]:
    return [message.content for message in messages]


def delivered(device: Device) -> list[int]:
    return [event.message.seq for event in device.of(MessageDelivered)]


async def missed(device: Device, live: LiveChat, limit: int = 50, **seqs: int) -> CaughtUp:
    """Catch up; keyword arguments are positions by user, or of the lobby."""
    positions = [
        Position(IN_LOBBY if name == "lobby" else Person(UserId(name)), seq)
        for name, seq in seqs.items()
    ]
    return await device.execute(CatchUp(live.store.epoch, positions, limit))


class TestCatchingUp:
    async def test_missed_messages_are_returned(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)
        for content in "abc":
            await ada.execute(personal(BOB, content))

        (of_ada,) = (await missed(bob, live, ada=1)).conversations

        assert contents(of_ada.messages) == ["b", "c"]
        assert not of_ada.limited
        assert of_ada.state.last_seq == 3

    async def test_unknown_conversations_are_returned(self, live: LiveChat) -> None:
        ada, eve = await live.connect(ADA), await live.connect(EVE)
        for device in (ada, eve):
            await device.execute(JoinRoom(LOBBY))
        await eve.execute(group(LOBBY, "in the room"))
        await eve.execute(personal(ADA, "to you"))

        caught_up = await missed(ada, live)

        assert [contents(each.messages) for each in caught_up.conversations] == [
            ["to you"],
            ["in the room"],
        ]

    async def test_own_messages_from_other_device_are_returned(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)
        await adas_phone.execute(personal(BOB, "from my phone"))

        (to_bob,) = (await missed(ada, live)).conversations

        assert contents(to_bob.messages) == ["from my phone"]

    async def test_known_messages_are_not_returned(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))
        await ada.execute(JoinRoom(LOBBY))

        caught_up = await missed(ada, live, bob=1)

        assert (caught_up.recovered, caught_up.conversations) == (True, [])

    async def test_rooms_of_others_are_not_returned(self, live: LiveChat) -> None:
        ada, eve = await live.connect(ADA), await live.connect(EVE)
        await ada.execute(JoinRoom(LOBBY))
        await ada.execute(group(LOBBY))

        caught_up = await missed(eve, live, lobby=0)

        assert (caught_up.recovered, caught_up.conversations) == (True, [])

    async def test_positions_from_another_epoch_are_not_recovered(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        await ada.execute(personal(BOB))

        caught_up = await ada.execute(CatchUp("another", [Position(TO_BOB, 0)]))

        assert caught_up == CaughtUp(recovered=False)

    async def test_newest_messages_are_returned_and_marked_limited(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for content in "abcd":
            await ada.execute(personal(BOB, content))

        (to_bob,) = (await missed(ada, live, limit=2, bob=1)).conversations

        assert contents(to_bob.messages) == ["c", "d"]
        assert to_bob.limited

    async def test_messages_within_limit_are_not_marked_limited(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        for _ in range(4):
            await ada.execute(personal(BOB))

        (to_bob,) = (await missed(ada, live, limit=3, bob=1)).conversations

        assert not to_bob.limited

    async def test_messages_that_do_not_fit_are_marked_limited(self) -> None:
        live = LiveChat(Limits(max_catch_up_messages=3, rates={}))
        ada = await live.connect(ADA)
        for other in (EVE, BOB):
            for _ in range(2):
                await ada.execute(personal(other))

        to_bob, to_eve = (await missed(ada, live)).conversations

        assert (len(to_bob.messages), to_bob.limited) == (2, False)
        assert (len(to_eve.messages), to_eve.limited) == (0, True)

    async def test_remaining_conversations_are_returned_next_time(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        others = [UserId(f"user {number}") for number in range(CONVERSATIONS_PER_READ + 1)]
        for other in others:
            await ada.execute(personal(other))

        first = await missed(ada, live)
        # The client now has the first result.
        rest = await missed(ada, live, **dict.fromkeys(others[1:], 1))

        assert (len(first.conversations), first.has_more) == (CONVERSATIONS_PER_READ, True)
        assert (len(rest.conversations), rest.has_more) == (1, False)

    async def test_missed_messages_are_found_on_later_pages(self, live: LiveChat) -> None:
        ada = await live.connect(ADA)
        others = [UserId(f"user {number}") for number in range(CONVERSATIONS_PER_READ + 1)]
        for other in others:
            await ada.execute(personal(other))

        caught_up = await missed(ada, live, **dict.fromkeys(others[1:], 1))

        (oldest,) = caught_up.conversations
        assert oldest.state.conversation == Pair.of(ADA, others[0])

    async def test_returned_messages_are_delivered(self) -> None:
        live = LiveChat(Limits(max_offline_push=0, rates={}))
        ada = await live.connect(ADA)
        for _ in range(3):
            await ada.execute(personal(BOB))

        bob = await live.connect(BOB)
        await missed(bob, live, limit=2)
        bob.confirm()

        assert delivered(ada) == [2, 3]

    def test_too_many_positions_are_rejected(self) -> None:
        positions = [Position(IN_LOBBY, 1)] * 1001

        with pytest.raises(InvalidPayload) as rejected:
            CatchUp("epoch", positions)

        assert rejected.value.field == "positions"
