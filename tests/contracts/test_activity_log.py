"""What every activity log does."""

from collections.abc import Sequence

import pytest

from socketio_app.application.ports import Store
from socketio_app.domain.activity import Change
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import UserId
from tests.builders import ADA, BOB, DEN, EVE, LOBBY, NOON, draft

pytestmark = pytest.mark.anyio

IN_LOBBY, TO_BOB, TO_EVE, TO_ADA = Room(LOBBY), Pair.of(ADA, BOB), Pair.of(ADA, EVE), Pair(ADA, ADA)


async def say(store: Store, conversation: Conversation, by: UserId = ADA, times: int = 1) -> None:
    for _ in range(times):
        await store.messages.append(draft(conversation, by))


async def settled(store: Store) -> int:
    """The mark of this moment, once no transaction on the server is older than it."""
    mark = await store.activity.mark()
    while mark.settled != mark.latest:
        mark = await store.activity.mark()
    return mark.settled


async def changes(store: Store, since: int, user_id: UserId = ADA) -> Sequence[Change]:
    return await store.activity.changes(user_id, since, since, 10)


async def changed(store: Store, since: int, user_id: UserId = ADA) -> Sequence[Conversation]:
    return [each.state.conversation for each in await changes(store, since, user_id)]


async def new_seqs(
    store: Store, since: int, beyond: int = 0, limit: int = 10
) -> Sequence[Sequence[int]]:
    found = await changes(store, since)
    messages = await store.activity.new_messages(found, [beyond] * len(found), since, limit)
    return [[message.seq for message in each] for each in messages]


class TestMark:
    async def test_is_beyond_everything_that_was_stored(self, store: Store) -> None:
        await say(store, TO_BOB)

        assert await changed(store, await settled(store)) == []

    async def test_is_before_everything_that_is_stored_afterwards(self, store: Store) -> None:
        for conversation in (TO_BOB, TO_EVE):
            mark = await settled(store)
            await say(store, conversation)

            assert await changed(store, mark) == [conversation]

    async def test_of_a_new_store_is_before_the_first_message(self, store: Store) -> None:
        mark = await settled(store)

        await say(store, TO_BOB)

        assert await new_seqs(store, mark) == [[1]]

    async def test_that_is_recent_is_not_beyond_what_is_stored(self, store: Store) -> None:
        await settled(store)
        await say(store, TO_BOB)

        recent = await store.activity.recent_mark()

        assert recent.settled is not None
        assert recent.settled <= await settled(store)


class TestChanges:
    async def test_are_of_the_users_conversations_with_the_oldest_first(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await store.rooms.join(DEN, BOB, NOON)
        await say(store, TO_ADA)
        mark = await settled(store)
        for conversation in (TO_BOB, IN_LOBBY, Room(DEN), TO_EVE, Pair.of(BOB, EVE)):
            await say(store, conversation, BOB)

        assert await changed(store, mark) == [TO_BOB, IN_LOBBY, TO_EVE]

    async def test_have_the_standings(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await say(store, TO_BOB, BOB, times=3)
        await say(store, IN_LOBBY, BOB)
        await store.conversations.mark_read(ADA, TO_BOB, 2)

        states = [each.state for each in await changes(store, 0)]

        assert states == list(await store.conversations.of_user(ADA, 10))[::-1]

    async def test_come_in_pages(self, store: Store) -> None:
        mark = await settled(store)
        for conversation in (TO_BOB, TO_EVE, TO_ADA):
            await say(store, conversation)

        first = await store.activity.changes(ADA, mark, mark, 2)
        rest = await store.activity.changes(ADA, mark, first[-1].activity, 2)

        conversations = [each.state.conversation for each in [*first, *rest]]
        assert conversations == [TO_BOB, TO_EVE, TO_ADA]

    async def test_have_rooms_that_were_joined(self, store: Store) -> None:
        await store.rooms.join(LOBBY, BOB, NOON)
        await say(store, IN_LOBBY, BOB)
        mark = await settled(store)
        await store.rooms.join(LOBBY, ADA, NOON)
        await say(store, TO_BOB)

        found = await changes(store, mark)

        assert [(each.state.conversation, each.is_joined) for each in found] == [
            (IN_LOBBY, True),
            (TO_BOB, False),
        ]
        assert await changed(store, await settled(store)) == []

    async def test_have_no_rooms_that_were_left(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        mark = await settled(store)
        await say(store, IN_LOBBY)
        await store.rooms.leave(LOBBY, ADA)

        assert await changed(store, mark) == []


class TestNewMessages:
    async def test_are_those_beyond_the_mark(self, store: Store) -> None:
        await say(store, TO_BOB, times=3)
        mark = await settled(store)
        await say(store, TO_BOB, BOB, times=2)
        await say(store, TO_EVE)

        assert await new_seqs(store, mark) == [[4, 5], [1]]

    async def test_are_the_newest(self, store: Store) -> None:
        mark = await settled(store)
        await say(store, TO_BOB, times=5)

        assert await new_seqs(store, mark, limit=2) == [[4, 5]]

    async def test_are_beyond_what_the_client_has(self, store: Store) -> None:
        mark = await settled(store)
        await say(store, TO_BOB, times=5)

        assert await new_seqs(store, mark, beyond=3) == [[4, 5]]

    async def test_are_of_the_moment_of_the_change(self, store: Store) -> None:
        mark = await settled(store)
        await say(store, TO_BOB, times=2)
        found = await changes(store, mark)
        await say(store, TO_BOB)

        (messages,) = await store.activity.new_messages(found, [0], mark, 10)

        assert [message.seq for message in messages] == [1, 2]

    async def test_of_a_joined_room_are_what_was_said_since(self, store: Store) -> None:
        await store.rooms.join(LOBBY, BOB, NOON)
        await say(store, IN_LOBBY, BOB)
        mark = await settled(store)
        await store.rooms.join(LOBBY, ADA, NOON)
        await say(store, IN_LOBBY, BOB)

        assert await new_seqs(store, mark) == [[2]]
