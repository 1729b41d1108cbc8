"""Contract of every conversation log."""

from collections.abc import Sequence

import pytest

from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.history import ConversationState, ReadMarker
from socketio_app.domain.identifiers import UserId
from tests.builders import ADA, BOB, DEN, EVE, LOBBY, NOON, draft
from tests.contracts.test_delivery_log import deliver

pytestmark = pytest.mark.anyio

IN_LOBBY, TO_BOB, TO_EVE, TO_ADA = Room(LOBBY), Pair.of(ADA, BOB), Pair.of(ADA, EVE), Pair(ADA, ADA)


async def send(store: Store, conversation: Conversation, by: UserId = ADA, times: int = 1) -> None:
    for _ in range(times):
        await store.messages.append(draft(conversation, by))


async def of_ada(
    store: Store, limit: int = 10, before: int | None = None
) -> Sequence[ConversationState]:
    return await store.conversations.of_user(ADA, limit, before)


async def only(store: Store, user_id: UserId = ADA) -> ConversationState:
    (state,) = await store.conversations.of_user(user_id, 10)
    return state


async def unread(store: Store, user_id: UserId) -> int:
    return (await only(store, user_id)).unread_count


class TestOfUser:
    async def test_conversations_are_the_users_pairs_and_rooms_newest_activity_first(
        self, store: Store
    ) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await store.rooms.join(DEN, BOB, NOON)
        for conversation in (TO_BOB, IN_LOBBY, TO_EVE, TO_ADA, Room(DEN), Pair.of(BOB, EVE)):
            await send(store, conversation)
        await send(store, TO_BOB)

        states = await of_ada(store)

        conversations = [each.conversation for each in states]
        assert conversations == [TO_BOB, TO_ADA, TO_EVE, IN_LOBBY]
        assert [each.last_seq for each in states] == [2, 1, 1, 1]

    async def test_conversations_can_be_read_in_pages(self, store: Store) -> None:
        for conversation in (TO_BOB, TO_EVE, TO_ADA):
            await send(store, conversation)

        first = await of_ada(store, limit=2)
        rest = await of_ada(store, limit=2, before=first[-1].activity)

        assert [each.conversation for each in [*first, *rest]] == [TO_ADA, TO_EVE, TO_BOB]

    async def test_joined_room_is_included(self, store: Store) -> None:
        await send(store, TO_BOB)
        await store.rooms.join(LOBBY, ADA, NOON)

        assert [each.conversation for each in await of_ada(store)] == [IN_LOBBY, TO_BOB]

    async def test_join_is_no_activity_in_an_existing_room(self, store: Store) -> None:
        await store.rooms.join(LOBBY, BOB, NOON)
        await send(store, TO_EVE)

        await store.rooms.join(LOBBY, ADA, NOON)

        assert [each.conversation for each in await of_ada(store)] == [TO_EVE, IN_LOBBY]

    async def test_left_room_is_not_included(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, IN_LOBBY)

        await store.rooms.leave(LOBBY, ADA)

        assert list(await of_ada(store)) == []

    async def test_delivered_seq_of_a_pair_is_the_other_users_cursor(self, store: Store) -> None:
        messages = [(await store.messages.append(draft(TO_BOB))).message for _ in range(3)]
        await deliver(store, messages[1])

        assert (await only(store)).delivered_seq == 2
        # Ada is not the recipient of her own messages.
        assert (await only(store, BOB)).delivered_seq == 0

    async def test_delivered_seq_of_a_room_is_its_last_seq(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, IN_LOBBY, times=3)

        assert (await only(store)).delivered_seq == 3


class TestRecent:
    async def test_recent_has_each_conversation_with_its_newest_message(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, TO_BOB, BOB, times=2)
        await send(store, TO_EVE)

        recent = await store.conversations.recent(ADA, 10)

        assert [each.state for each in recent] == list(await of_ada(store))
        newest = [each.last_message for each in recent]
        assert [message and (message.conversation, message.seq) for message in newest] == [
            (TO_EVE, 1),
            (TO_BOB, 2),
            None,
        ]

    async def test_recent_can_be_read_in_pages(self, store: Store) -> None:
        for conversation in (TO_BOB, TO_EVE, TO_ADA):
            await send(store, conversation)

        (first,) = await store.conversations.recent(ADA, 1)
        rest = await store.conversations.recent(ADA, 5, first.state.activity)

        assert [each.state.conversation for each in [first, *rest]] == [TO_ADA, TO_EVE, TO_BOB]


class TestReading:
    async def test_read_seq_moves_forward(self, store: Store) -> None:
        await send(store, TO_BOB, times=3)

        for seq in (1, 3):
            assert await store.conversations.mark_read(BOB, TO_BOB, seq) == ReadMarker(seq, True)

        assert (await only(store, BOB)).read_seq == 3

    @pytest.mark.parametrize("seq", [0, 1, 2])
    async def test_read_seq_never_moves_back(self, store: Store, seq: int) -> None:
        await send(store, TO_BOB, times=3)
        await store.conversations.mark_read(BOB, TO_BOB, 2)

        assert await store.conversations.mark_read(BOB, TO_BOB, seq) == ReadMarker(2, False)

        assert (await only(store, BOB)).read_seq == 2

    async def test_read_seq_ends_at_the_newest_message(self, store: Store) -> None:
        await send(store, TO_BOB, times=3)

        read = await store.conversations.mark_read(BOB, TO_BOB, 2**63 - 1)

        assert read == ReadMarker(3, moved=True)

    async def test_read_seq_of_a_conversation_without_messages_stays_0(self, store: Store) -> None:
        assert await store.conversations.mark_read(BOB, TO_BOB, 5) == ReadMarker(0, moved=False)

        assert list(await store.conversations.of_user(BOB, 10)) == []

    async def test_reading_does_not_move_the_delivery_cursor(self, store: Store) -> None:
        message = (await store.messages.append(draft(TO_BOB))).message
        await deliver(store, message)

        await store.conversations.mark_read(BOB, TO_BOB, 1)
        await send(store, TO_BOB)
        await store.conversations.mark_read(BOB, TO_BOB, 2)

        assert (await only(store)).delivered_seq == 1

    async def test_messages_from_before_the_join_count_as_read(self, store: Store) -> None:
        await store.rooms.join(LOBBY, BOB, NOON)
        await send(store, IN_LOBBY, BOB, times=2)

        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, IN_LOBBY, BOB)

        assert (await only(store)).read_seq == 2
        assert await unread(store, ADA) == 1

    async def test_repeated_join_does_not_move_read_seq(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, IN_LOBBY, BOB, times=2)

        await store.rooms.join(LOBBY, ADA, NOON)

        assert (await only(store)).read_seq == 0


class TestUnreadCounts:
    async def test_messages_after_read_seq_are_unread(self, store: Store) -> None:
        await send(store, TO_BOB, ADA, times=4)
        await store.conversations.mark_read(BOB, TO_BOB, 2)

        assert await unread(store, BOB) == 2

    @pytest.mark.parametrize("conversation", [TO_BOB, IN_LOBBY])
    async def test_own_message_marks_everything_before_it_as_read(
        self, store: Store, conversation: Conversation
    ) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await store.rooms.join(LOBBY, BOB, NOON)
        await send(store, conversation, ADA, times=3)
        await send(store, conversation, BOB, times=2)
        await send(store, conversation, ADA)

        for user_id, read_seq in ((ADA, 6), (BOB, 5)):
            state = (await store.conversations.of_user(user_id, 1))[0]
            assert (state.read_seq, state.unread_count) == (read_seq, 6 - read_seq)

    async def test_own_message_does_not_move_the_stored_read_marker(self, store: Store) -> None:
        await send(store, TO_BOB, ADA, times=2)
        await send(store, TO_BOB, BOB)

        # So that the other user is still notified that their messages were read.
        assert await store.conversations.mark_read(BOB, TO_BOB, 2) == ReadMarker(2, moved=True)
        assert (await only(store, BOB)).read_seq == 3

    async def test_messages_since_joining_again_are_unread(self, store: Store) -> None:
        await store.rooms.join(LOBBY, BOB, NOON)
        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, IN_LOBBY, ADA)
        await store.rooms.leave(LOBBY, ADA)
        await send(store, IN_LOBBY, BOB)
        await store.rooms.join(LOBBY, ADA, NOON)
        await send(store, IN_LOBBY, BOB)

        assert await unread(store, ADA) == 1

    async def test_messages_to_oneself_are_not_unread(self, store: Store) -> None:
        await send(store, TO_ADA)

        assert await unread(store, ADA) == 0

    async def test_retry_marks_nothing_as_read(self, store: Store) -> None:
        await store.rooms.join(LOBBY, ADA, NOON)
        await store.messages.append(draft(IN_LOBBY, ADA, client_message_id="m1"))
        await send(store, IN_LOBBY, BOB)

        await store.messages.append(draft(IN_LOBBY, ADA, client_message_id="m1"))

        assert await unread(store, ADA) == 1
