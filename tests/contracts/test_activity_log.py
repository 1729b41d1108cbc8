"""Contract of every activity log."""

from collections.abc import Sequence

import pytest

from socketio_app.application.ports import Store
from socketio_app.domain.activity import Change
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import UserId
from tests.builders import ADA, BOB, DEN, EVE, LOBBY, NOON, draft

pytestmark = pytest.mark.anyio

IN_LOBBY, TO_BOB, TO_EVE, TO_ADA = Room(LOBBY), Pair.of(ADA, BOB), Pair.of(ADA, EVE), Pair(ADA, ADA)


async def send(store: Store, conversation: Conversation, by: UserId = ADA, times: int = 1) -> None:
    for _ in range(times):
        await store.messages.append(draft(conversation, by))


async def settled(store: Store) -> int:
    """Take marks until one is settled, and return it."""
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
    async def test_mark_is_after_everything_stored_before(self, store: Store) -> None:
        await send(store, TO_BOB)

        assert await changed(store, await settled(store)) == []

    async def test_mark_is_before_everything_stored_afterwards(self, store: Store) -> None:
        for conversation in (TO_BOB, TO_EVE):
            mark = await settled(store)
            await send(store, conversation)

            assert await changed(store, mark) == [conversation]

    async def test_mark_of_a_new_store_is_before_the_first_message(self, store: Store) -> None:
        mark = await settled(store)

        await send(store, TO_BOB)

        assert await new_seqs(store, mark) == [[1]]

    async def test_recent_mark_is_not_after_the_newest_message(self, store: Store) -> None:
        await settled(store)
        await send(store, TO_BOB)

        recent = await store.activity.recent_mark()

        assert recent.settled is not None
        assert recent.settled <= await settled(store)


class TestChanges:
    async def test_changes_are_of_the_users_conversations_in_order_of_activity(
        self, store: Store
    ) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await store.rooms.join(DEN, BOB, NOON)
        await send(store, TO_ADA)
        mark = await settled(store)
        for conversation in (TO_BOB, IN_LOBBY, Room(DEN), TO_EVE, Pair.of(BOB, EVE)):
            await send(store, conversation, BOB)

        assert await changed(store, mark) == [TO_BOB, IN_LOBBY, TO_EVE]

    async def test_changes_have_the_conversation_states(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, TO_BOB, BOB, times=3)
        await send(store, IN_LOBBY, BOB)
        await store.conversations.mark_read(ADA, TO_BOB, 2)

        states = [each.state for each in await changes(store, 0)]

        assert states == list(await store.conversations.of_user(ADA, 10))[::-1]

    async def test_changes_can_be_read_in_pages(self, store: Store) -> None:
        mark = await settled(store)
        for conversation in (TO_BOB, TO_EVE, TO_ADA):
            await send(store, conversation)

        first = await store.activity.changes(ADA, mark, mark, 2)
        rest = await store.activity.changes(ADA, mark, first[-1].activity, 2)

        conversations = [each.state.conversation for each in [*first, *rest]]
        assert conversations == [TO_BOB, TO_EVE, TO_ADA]

    async def test_changes_include_joined_rooms(self, store: Store) -> None:
        await store.rooms.join(LOBBY, BOB, NOON)
        await send(store, IN_LOBBY, BOB)
        mark = await settled(store)
        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, TO_BOB)

        found = await changes(store, mark)

        assert [(each.state.conversation, each.is_joined) for each in found] == [
            (IN_LOBBY, True),
            (TO_BOB, False),
        ]
        assert await changed(store, await settled(store)) == []

    async def test_changes_do_not_include_left_rooms(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        mark = await settled(store)
        await send(store, IN_LOBBY)
        await store.rooms.leave(LOBBY, ADA)

        assert await changed(store, mark) == []


class TestNewMessages:
    async def test_new_messages_are_those_after_the_mark(self, store: Store) -> None:
        await send(store, TO_BOB, times=3)
        mark = await settled(store)
        await send(store, TO_BOB, BOB, times=2)
        await send(store, TO_EVE)

        assert await new_seqs(store, mark) == [[4, 5], [1]]

    async def test_new_messages_are_limited_to_the_newest(self, store: Store) -> None:
        mark = await settled(store)
        await send(store, TO_BOB, times=5)

        assert await new_seqs(store, mark, limit=2) == [[4, 5]]

    async def test_new_messages_are_those_after_the_clients_position(self, store: Store) -> None:
        mark = await settled(store)
        await send(store, TO_BOB, times=5)

        assert await new_seqs(store, mark, beyond=3) == [[4, 5]]

    async def test_new_messages_end_at_the_last_seq_of_the_change(self, store: Store) -> None:
        mark = await settled(store)
        await send(store, TO_BOB, times=2)
        found = await changes(store, mark)
        await send(store, TO_BOB)

        (messages,) = await store.activity.new_messages(found, [0], mark, 10)

        assert [message.seq for message in messages] == [1, 2]

    async def test_new_messages_of_a_joined_room_are_those_since_the_mark(
        self, store: Store
    ) -> None:
        await store.rooms.join(LOBBY, BOB, NOON)
        await send(store, IN_LOBBY, BOB)
        mark = await settled(store)
        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, IN_LOBBY, BOB)

        assert await new_seqs(store, mark) == [[2]]
