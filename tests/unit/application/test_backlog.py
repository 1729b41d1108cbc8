"""Pushing missed messages in batches."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.application.backlog import Backlog
from socketio_app.application.events import Event, MessageSent
from socketio_app.application.limits import Limits
from socketio_app.application.live_merge import LiveMerge
from socketio_app.domain.conversations import Conversation, Pair
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import MessageId, UserId
from socketio_app.domain.messaging import Draft, Message, content_bytes
from socketio_app.domain.transcript import Transcript
from tests.builders import ADA, BOB, EVE, personal
from tests.chat_harness import LiveChat
from tests.stores import HookedStore, Outage

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def stored(*conversation: tuple[UserId, str]) -> tuple[Transcript, list[Message]]:
    """Return a conversation of Bob's, and those of its messages that are for him."""
    transcript = Transcript()
    other = next(sender for sender, _ in conversation if sender != BOB)
    for number, (sender, content) in enumerate(conversation):
        message_id = MessageId(f"{other}'s {number}")
        pair = Pair.of(other, BOB)
        draft = Draft(message_id, pair, sender, pair.recipient(sender), content, NOW)
        transcript.append(draft)
    missed = [each for each in transcript.after(0) if each.to_user_id == BOB]
    return transcript, missed


def pushed(
    backlog: Backlog, store: dict[Conversation, Transcript]
) -> tuple[list[Sequence[Message]], list[Conversation]]:
    """Return all batches of a backlog, and its conversations in the order they are finished."""
    batches: list[Sequence[Message]] = []
    finished: list[Conversation] = []
    for _ in range(1000):
        if backlog.is_empty:
            return batches, finished
        if backlog.next_page is not None:
            conversation, window = backlog.next_page
            backlog.add(store[conversation].page(window))
        batch = backlog.take()
        batches.append(batch.messages)
        finished += batch.finished
    raise AssertionError("the backlog does not end")


says = st.tuples(st.sampled_from([ADA, BOB]), st.text("x", min_size=1, max_size=30))


@given(
    from_ada=st.lists(says, max_size=150),
    from_eve=st.lists(st.text("y", min_size=1, max_size=30), min_size=1, max_size=100),
    max_bytes=st.integers(1, 500),
)
def test_backlog_is_sent_in_order_in_bounded_batches(
    from_ada: list[tuple[UserId, str]], from_eve: list[str], max_bytes: int
) -> None:
    adas, missed_of_ada = stored((ADA, "first"), *from_ada)
    eves, missed_of_eve = stored(*[(EVE, content) for content in from_eve])
    store: dict[Conversation, Transcript] = {Pair.of(ADA, BOB): adas, Pair.of(EVE, BOB): eves}
    missed = missed_of_ada + missed_of_eve

    batches, finished = pushed(Backlog.of(BOB, missed, max_bytes), store)

    assert [message for batch in batches for message in batch] == missed
    assert all(content_bytes(batch) <= max_bytes or len(batch) == 1 for batch in batches)
    assert finished == [Pair.of(ADA, BOB), Pair.of(EVE, BOB)]


def test_conversation_dropped_by_store_is_finished() -> None:
    transcript, missed = stored(*[(ADA, "x" * 10)] * 5)
    for _ in range(5):
        transcript.drop_oldest()

    batches, finished = pushed(Backlog.of(BOB, missed, 20), {Pair.of(ADA, BOB): transcript})

    assert [message for batch in batches for message in batch] == missed[:2]
    assert finished == [Pair.of(ADA, BOB)]


def test_backlog_without_messages_is_empty() -> None:
    assert Backlog.of(BOB, [], 100).is_empty


class TestMerging:
    """Live messages follow the missed ones of the same conversation."""

    def test_only_unfinished_conversations_are_held_back(self) -> None:
        transcript, missed = stored(*[(ADA, "x" * 10)] * 4)
        _, (eves,) = stored((EVE, "meanwhile"))
        merge = LiveMerge(holds_all=True)
        backlog = Backlog.of(BOB, missed[:3], 20)

        merge.admit(MessageSent(eves))
        opened = merge.open(backlog)
        is_held = not merge.admit(MessageSent(missed[3]))
        conversation, window = backlog.next_page or pytest.fail("nothing is left")
        backlog.add(transcript.page(window))
        then = merge.push(backlog.take())

        assert seqs(opened) == [(ADA, 1), (ADA, 2), (EVE, 1)]
        assert is_held
        assert conversation == Pair.of(ADA, BOB)
        assert seqs(then) == [(ADA, 3), (ADA, 4)]
        assert backlog.is_empty

    @pytest.mark.parametrize(
        ("caught_up", "left"), [(range(1, 4), [4]), (range(3, 5), [2]), (range(3, 4), [2, 4])]
    )
    def test_messages_from_catch_up_are_not_pushed(self, caught_up: range, left: list[int]) -> None:
        transcript, missed = stored(*[(ADA, "x" * 10)] * 4)
        merge = LiveMerge(holds_all=True)
        backlog = Backlog.of(BOB, missed, 10)
        assert seqs(merge.open(backlog)) == [(ADA, 1)]

        merge.release_all({Pair.of(ADA, BOB): caught_up})
        pushed_then: list[Event] = []
        while not backlog.is_empty:
            assert backlog.next_page is not None
            backlog.add(transcript.page(backlog.next_page[1]))
            pushed_then += merge.push(backlog.take())

        assert seqs(pushed_then) == [(ADA, seq) for seq in left]


def seqs(events: Sequence[Event]) -> list[tuple[UserId, int]]:
    return [
        (event.message.from_user_id, event.message.seq)
        for event in events
        if isinstance(event, MessageSent)
    ]


@pytest.mark.anyio
async def test_reading_backlog_can_be_retried() -> None:
    outage = Outage()
    live = LiveChat(Limits(rates={}, max_push_batch_bytes=10), HookedStore(before=outage))
    for _ in range(3):
        await live.host(ADA, personal(BOB, "x" * 10))
    connection = live.broadcast.open(BOB, (await live.connect(EVE)).connection_id)
    missed = await live.store.deliveries.undelivered(BOB, 10)
    backlog = Backlog.of(BOB, missed, 10)
    connection.write(connection.merge.open(backlog))

    outage.down = {"page"}
    with pytest.raises(Unavailable):
        await live.chat.sessions.read_next_batch(backlog)
    outage.down = set()
    while not backlog.is_empty:
        await live.chat.sessions.read_next_batch(backlog)
        connection.write(connection.merge.push(backlog.take()))

    assert [
        event.message for event in connection.events if isinstance(event, MessageSent)
    ] == missed
