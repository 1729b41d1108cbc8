"""Catching up since a cursor."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import attrs
import pytest

from socketio_app.application.catching_up import MAX_CHANGES
from socketio_app.application.commands import CatchUp, CaughtUp, JoinRoom, LeaveRoom, Position
from socketio_app.application.events import Connected, MessageDelivered
from socketio_app.application.limits import Limits
from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.conversations import Conversation, Pair, Person, Room
from socketio_app.domain.identifiers import UserId
from tests.builders import ADA, BOB, EVE, LOBBY, draft, group, personal
from tests.chat_harness import Device, LiveChat

pytestmark = pytest.mark.anyio

IN_LOBBY, TO_BOB, TO_EVE = Room(LOBBY), Pair.of(ADA, BOB), Pair.of(ADA, EVE)


@attrs.define
class Client:
    """A client that remembers the messages and the cursor it was sent."""

    live: LiveChat
    user_id: UserId
    since: CatchUpCursor
    limit: int = 50
    seqs: dict[Conversation, list[int]] = attrs.field(factory=lambda: defaultdict(list))
    limited: dict[Conversation, bool] = attrs.field(factory=dict)

    @classmethod
    def connected_as(cls, device: Device, live: LiveChat, limit: int = 50) -> "Client":
        (connected,) = device.of(Connected)
        assert connected.since is not None
        return cls(live, device.user_id, connected.since, limit)

    async def catch_up(self, **had: int) -> CaughtUp:
        """Catch up once; keyword arguments are positions by user, or of the lobby."""
        positions = [
            Position(IN_LOBBY if name == "lobby" else Person(UserId(name)), seq)
            for name, seq in had.items()
        ]
        command = CatchUp(self.since.epoch, positions, self.limit, self.since)
        answer = await self.live.host(self.user_id, command)
        for each in answer.conversations:
            conversation = each.state.conversation
            self.seqs[conversation] += [message.seq for message in each.messages]
            self.limited[conversation] = each.limited
        self.since = answer.since or self.since
        return answer

    async def catch_up_fully(self) -> int:
        """Catch up until there is no more; return the number of pages."""
        for count in range(1, 100):
            if not (await self.catch_up()).has_more:
                return count
        raise AssertionError("catching up does not end")


def conversations(answer: CaughtUp) -> Mapping[Conversation, Sequence[int]]:
    return {
        each.state.conversation: [message.seq for message in each.messages]
        for each in answer.conversations
    }


async def client_of(live: LiveChat, user_id: UserId = ADA, limit: int = 50) -> Client:
    return Client.connected_as(await live.connect(user_id), live, limit)


async def test_nothing_is_new_after_connecting(live: LiveChat) -> None:
    await live.host(ADA, personal(BOB))
    ada = await client_of(live)

    answer = await ada.catch_up()

    assert answer == CaughtUp(recovered=True, conversations=[], has_more=False, since=ada.since)


async def test_new_messages_are_returned_once(live: LiveChat) -> None:
    await live.host(BOB, personal(ADA))
    ada = await client_of(live)
    await live.host(BOB, personal(ADA))
    await live.host(ADA, personal(EVE))

    assert conversations(await ada.catch_up()) == {TO_BOB: [2], TO_EVE: [1]}
    assert conversations(await ada.catch_up()) == {}


async def test_many_conversations_are_returned_in_pages(live: LiveChat) -> None:
    others = [UserId(f"user{number}") for number in range(1500)]
    for other in others:
        await live.host(other, personal(ADA))
    ada = await client_of(live)
    assert await ada.catch_up_fully() == 1
    assert ada.seqs == {}
    for other in others:
        await live.host(other, personal(ADA))

    assert await ada.catch_up_fully() == 1500 // MAX_CHANGES + 1

    assert ada.seqs == {Pair.of(ADA, other): [2] for other in others}
    assert (await ada.catch_up()).conversations == []


async def test_conversation_with_news_between_pages_has_no_hole(live: LiveChat) -> None:
    ada = await client_of(live)
    others = [UserId(f"user{number}") for number in range(2 * MAX_CHANGES)]
    for other in others:
        await live.host(other, personal(ADA))

    first = await ada.catch_up()
    # One from the first page and one from a later page.
    for other in (others[0], others[-1]):
        await live.host(other, personal(ADA))
    await ada.catch_up_fully()
    await ada.catch_up_fully()

    assert first.has_more
    assert {each: set(seqs) for each, seqs in ada.seqs.items()} == {
        Pair.of(ADA, other): {1, 2} if other in (others[0], others[-1]) else {1} for other in others
    }


async def test_conversation_above_limit_is_marked_limited(live: LiveChat) -> None:
    ada = await client_of(live, limit=2)
    for _ in range(3):
        await live.host(BOB, personal(ADA))
    for _ in range(2):
        await live.host(EVE, personal(ADA))

    assert conversations(await ada.catch_up()) == {TO_BOB: [2, 3], TO_EVE: [1, 2]}

    assert ada.limited == {TO_BOB: True, TO_EVE: False}


async def test_conversations_that_do_not_fit_are_on_next_page() -> None:
    live = LiveChat(Limits(max_catch_up_messages=3, rates={}))
    ada = await client_of(live)
    for other in (BOB, EVE):
        for _ in range(2):
            await live.host(other, personal(ADA))

    first, second = await ada.catch_up(), await ada.catch_up()

    assert (conversations(first), first.has_more) == ({TO_BOB: [1, 2]}, True)
    assert (conversations(second), second.has_more) == ({TO_EVE: [1, 2]}, False)
    assert not any(ada.limited.values())


async def test_conversation_larger_than_page_is_truncated() -> None:
    live = LiveChat(Limits(max_catch_up_messages=3, rates={}))
    ada = await client_of(live)
    for _ in range(5):
        await live.host(BOB, personal(ADA))

    answer = await ada.catch_up()

    assert (conversations(answer), answer.has_more) == ({TO_BOB: [3, 4, 5]}, False)
    assert ada.limited == {TO_BOB: True}


async def test_page_size_is_limited_in_bytes(live: LiveChat) -> None:
    ada = await client_of(live)
    people = [UserId(f"user{number}") for number in range(3)]
    for user_id in people:
        for _ in range(20):
            await live.store.messages.append(draft(Pair.of(ADA, user_id), user_id, "x" * 30_000))

    answers = [await ada.catch_up() for _ in people]

    assert [len(each.conversations) for each in answers] == [1, 1, 1]
    assert [each.has_more for each in answers] == [True, True, False]
    assert not any(ada.limited.values())


async def test_positions_exclude_known_messages(live: LiveChat) -> None:
    ada = await client_of(live)
    for _ in range(3):
        await live.host(BOB, personal(ADA))
    await live.host(EVE, personal(ADA))

    assert conversations(await ada.catch_up(bob=2, eve=1)) == {TO_BOB: [3]}
    assert ada.limited == {TO_BOB: False}


async def test_room_joined_on_another_device_is_included(live: LiveChat) -> None:
    for user_id in (BOB, EVE):
        await live.host(user_id, JoinRoom(LOBBY))
    await live.host(BOB, group(LOBBY))
    ada = await client_of(live)
    await live.host(ADA, JoinRoom(LOBBY))
    assert conversations(await ada.catch_up()) == {IN_LOBBY: []}
    assert ada.limited == {IN_LOBBY: True}

    await live.host(BOB, group(LOBBY))

    assert conversations(await ada.catch_up()) == {IN_LOBBY: [2]}
    assert ada.limited == {IN_LOBBY: False}


async def test_joined_room_at_known_position_is_excluded(live: LiveChat) -> None:
    await live.host(BOB, JoinRoom(LOBBY))
    await live.host(BOB, group(LOBBY))
    ada = await client_of(live)
    await live.host(ADA, JoinRoom(LOBBY))

    assert conversations(await ada.catch_up(lobby=1)) == {}


async def test_left_room_is_excluded(live: LiveChat) -> None:
    await live.host(ADA, JoinRoom(LOBBY))
    await live.host(BOB, JoinRoom(LOBBY))
    ada = await client_of(live)
    await live.host(BOB, group(LOBBY))
    await live.host(ADA, LeaveRoom(LOBBY))

    assert conversations(await ada.catch_up()) == {}


@pytest.mark.parametrize(
    ("activity", "given", "settled_activity"), [(0, 0, 0), (0, 2, 0), (2, 2, 2), (1, 1, 10**17)]
)
async def test_forged_cursor_reveals_no_other_conversations(
    live: LiveChat, activity: int, given: int, settled_activity: int
) -> None:
    await live.host(BOB, personal(EVE))
    await live.host(BOB, JoinRoom(LOBBY))
    await live.host(BOB, group(LOBBY))
    await live.host(BOB, personal(ADA))
    ada = Client(live, ADA, CatchUpCursor(live.store.epoch, activity, given, settled_activity))

    assert conversations(await ada.catch_up()) == {TO_BOB: [1]}


@pytest.mark.parametrize("limit", [1, 50])
async def test_cursor_at_zero_returns_everything(live: LiveChat, limit: int) -> None:
    await live.host(ADA, JoinRoom(LOBBY))
    await live.host(ADA, group(LOBBY))
    await live.host(BOB, personal(ADA))
    ada = Client(live, ADA, CatchUpCursor.at(live.store.epoch, 0), limit)

    assert conversations(await ada.catch_up()) == {IN_LOBBY: [1], TO_BOB: [1]}


async def test_cursor_from_another_epoch_is_not_recovered(live: LiveChat) -> None:
    ada = await client_of(live)
    ada.since = attrs.evolve(ada.since, epoch="another")

    assert await ada.catch_up() == CaughtUp(recovered=False)


async def test_cursor_beyond_store_is_not_recovered(live: LiveChat) -> None:
    ada = await client_of(live)
    ada.since = CatchUpCursor.at(ada.since.epoch, ada.since.activity + 1)

    # For example, after restoring a database from a backup.
    assert await ada.catch_up() == CaughtUp(recovered=False)


async def test_catch_up_by_positions_returns_cursor(live: LiveChat) -> None:
    await live.host(BOB, personal(ADA))

    answer = await live.host(ADA, CatchUp(live.store.epoch, [Position(Person(BOB), 1)]))

    assert answer.since is not None
    ada = Client(live, ADA, answer.since)
    await live.host(EVE, personal(ADA))
    assert conversations(await ada.catch_up()) == {TO_EVE: [1]}


async def test_catch_up_by_positions_continues_with_cursor(live: LiveChat) -> None:
    others = [UserId(f"user{number}") for number in range(1200)]
    for other in others:
        await live.host(other, personal(ADA))

    answer = await live.host(ADA, CatchUp(live.store.epoch))

    assert answer.has_more
    assert answer.since is not None
    ada = Client(live, ADA, answer.since)
    await ada.catch_up_fully()
    assert set(ada.seqs) == {Pair.of(ADA, other) for other in others}
    assert (await ada.catch_up()).conversations == []


async def test_returned_messages_are_delivered() -> None:
    live = LiveChat(Limits(max_offline_push=0, rates={}))
    bob = await live.connect(BOB)
    adas_phone = await live.connect(ADA)
    (connected,) = adas_phone.of(Connected)
    adas_phone.close()
    await bob.execute(personal(ADA))
    assert bob.of(MessageDelivered) == []
    adas_phone = await live.connect(ADA)

    await adas_phone.execute(CatchUp(live.store.epoch, since=connected.since))
    adas_phone.confirm()

    assert [event.message.seq for event in bob.of(MessageDelivered)] == [1]
