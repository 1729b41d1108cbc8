"""Merging stored messages with live events."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.application import live_merge
from socketio_app.application.events import Event, MessageSent, UserJoined, UserLeft
from socketio_app.application.live_merge import LiveMerge
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.messaging import Message
from tests.builders import ADA, BOB, DEN, EVE, LOBBY, draft

PAIR = Pair.of(ADA, BOB)
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def message(seq: int, conversation: Conversation = PAIR) -> Message:
    return draft(conversation).at(seq)


def sent(seq: int, conversation: Conversation = PAIR) -> MessageSent:
    return MessageSent(message(seq, conversation))


def joined() -> Event:
    return UserJoined(LOBBY, EVE, NOW, 2)


def seqs(events: object) -> list[int]:
    assert isinstance(events, list)
    return [event.message.seq for event in events if isinstance(event, MessageSent)]


def test_nothing_is_held_back_by_default() -> None:
    merge = LiveMerge()

    assert merge.admit(sent(1))
    assert merge.is_over


def test_held_messages_that_were_given_are_dropped() -> None:
    merge = LiveMerge()
    merge.hold_all()
    for event in (sent(3), joined(), sent(4), sent(5)):
        assert not merge.admit(event)

    events = merge.release_all({PAIR: range(1, 5)})

    assert seqs(events) == [5]
    assert joined() in events
    assert merge.is_over


def test_late_messages_that_were_given_are_dropped() -> None:
    merge = LiveMerge(holds_all=True)

    assert merge.release_all({PAIR: range(1, 5)}) == []

    assert not merge.admit(sent(4))
    assert merge.admit(sent(5))
    assert merge.is_over


def test_messages_given_of_held_room_are_dropped() -> None:
    merge = LiveMerge(holds_all=True)
    merge.hold_room(Room(LOBBY))
    for seq in (3, 4, 5):
        merge.admit(sent(seq, Room(LOBBY)))

    assert merge.release_all({Room(LOBBY): range(2, 5)}) == []

    assert seqs(merge.release_room(Room(LOBBY), 2)) == [5]
    assert merge.is_over


def test_holding_room_does_not_delay_others() -> None:
    merge = LiveMerge()
    merge.hold_room(Room(LOBBY))

    assert not merge.admit(sent(1, Room(LOBBY)))
    assert not merge.admit(joined())
    assert merge.admit(sent(1, Room(DEN)))
    assert merge.admit(sent(1))
    assert [type(each) for each in merge.release_room(Room(LOBBY), 0)] == [MessageSent, UserJoined]
    assert merge.is_over


def test_late_messages_from_before_joining_are_dropped() -> None:
    merge = LiveMerge()
    merge.hold_room(Room(LOBBY))
    merge.admit(sent(4, Room(LOBBY)))

    assert seqs(merge.release_room(Room(LOBBY), 5)) == []
    assert not merge.admit(sent(5, Room(LOBBY)))
    assert merge.admit(sent(6, Room(LOBBY)))


def test_release_all_keeps_holding_held_room() -> None:
    merge = LiveMerge(holds_all=True)
    merge.hold_room(Room(LOBBY))
    for event in (sent(1, Room(LOBBY)), sent(1, Room(DEN))):
        merge.admit(event)

    (released,) = merge.release_all()
    assert isinstance(released, MessageSent)
    assert released.message.conversation == Room(DEN)
    assert seqs(merge.release_room(Room(LOBBY), 0)) == [1]


def test_events_of_left_room_are_dropped() -> None:
    merge = LiveMerge()
    merge.hold_room(Room(LOBBY))
    merge.admit(sent(1, Room(LOBBY)))

    merge.drop_room(Room(LOBBY), ADA, is_lagging=False)

    assert merge.is_over
    assert merge.release_all() == []


def test_lagging_events_are_dropped_up_to_user_left() -> None:
    merge = LiveMerge()
    merge.hold_room(Room(LOBBY))
    merge.drop_room(Room(LOBBY), ADA, is_lagging=True)

    assert not merge.admit(sent(1, Room(LOBBY)))
    assert not merge.admit(UserLeft(LOBBY, BOB, NOW, 2, "left"))
    assert merge.admit(sent(1, Room(DEN)))
    assert merge.admit(UserLeft(LOBBY, ADA, NOW, 1, "left"))
    assert merge.is_over


@pytest.mark.parametrize("again", ["hold", "release"])
def test_rejoined_room_is_accepted_again(again: str) -> None:
    merge = LiveMerge()
    merge.hold_room(Room(LOBBY))
    merge.drop_room(Room(LOBBY), ADA, is_lagging=True)

    if again == "hold":
        merge.hold_room(Room(LOBBY))
    merge.release_room(Room(LOBBY), 0)

    assert merge.admit(sent(1, Room(LOBBY)))


def test_forget_ends_merge() -> None:
    merge = LiveMerge(holds_all=True)
    merge.release_all({PAIR: range(1, 2)})
    merge.hold_room(Room(LOBBY))
    merge.drop_room(Room(LOBBY), ADA, is_lagging=True)
    assert not merge.is_over

    merge.forget()

    assert merge.is_over


def test_held_events_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_merge, "MAX_HELD", 2)
    merge = LiveMerge(holds_all=True)
    for seq in (1, 2):
        merge.admit(sent(seq))
    assert not merge.is_full

    merge.admit(sent(3))

    assert merge.is_full


@given(
    last_given=st.integers(0, 9),
    held=st.sets(st.integers(1, 12)),
    late=st.sets(st.integers(1, 12)),
)
def test_messages_are_sent_once_in_order(last_given: int, held: set[int], late: set[int]) -> None:
    merge = LiveMerge(holds_all=True)
    for seq in sorted(held):
        merge.admit(sent(seq))
    given_range = range(1, last_given + 1)
    received = list(given_range)
    received += seqs(merge.release_all({PAIR: given_range} if given_range else {}))
    newest = max(received, default=0)
    received += [
        seq for seq in sorted(late) if seq > max(held, default=0) and merge.admit(sent(seq))
    ]

    assert received == sorted(set(received))
    assert held <= {*received}
    assert {seq for seq in late if seq > newest} <= {*received}
