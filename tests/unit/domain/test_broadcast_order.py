"""High-water marks of broadcast messages."""

import pytest

from socketio_app.domain import broadcast_order as lines_module
from socketio_app.domain.broadcast_order import MAX_MISSING, BroadcastOrder
from socketio_app.domain.conversations import Pair, Room
from socketio_app.domain.identifiers import ConnectionId, RoomId
from socketio_app.domain.messaging import Draft, Message, Stored
from tests.builders import ADA, BOB, draft

LAPTOP = ConnectionId("laptop")
PAIR = Pair.of(ADA, BOB)


def fresh(seq: int, of: Draft | None = None) -> Stored:
    return Stored((of or draft()).at(seq), duplicate=False)


def again(seq: int, of: Draft | None = None) -> Stored:
    return Stored((of or draft()).at(seq), duplicate=True)


@pytest.fixture
def lines() -> BroadcastOrder:
    return BroadcastOrder()


def test_consecutive_messages_are_next(lines: BroadcastOrder) -> None:
    assert [lines.offer(fresh(seq), None) for seq in (7, 8, 9)] == ["next"] * 3


def test_duplicate_of_broadcast_message_is_known(lines: BroadcastOrder) -> None:
    lines.offer(fresh(7), None)

    assert [lines.offer(again(seq), None) for seq in (6, 7)] == ["known"] * 2


def test_first_duplicate_without_mark_is_known(lines: BroadcastOrder) -> None:
    assert lines.offer(again(7), None) == "known"
    assert lines.offer(fresh(9), None) == "next"


def test_duplicate_that_is_next_is_broadcast(lines: BroadcastOrder) -> None:
    lines.offer(fresh(7), None)

    assert lines.offer(again(8), None) == "next"


def test_missing_seq_is_gap_until_filled(lines: BroadcastOrder) -> None:
    lines.offer(fresh(7), None)

    assert lines.offer(fresh(9), LAPTOP) == lines.offer(fresh(10), None) == "gap"
    gap = lines.gap(PAIR)
    assert gap is not None
    assert (gap.mark, gap.latest, gap.sending) == (7, 10, {9: LAPTOP})
    for seq in (8, 9, 10):
        lines.advance(PAIR, seq)
    assert lines.gap(PAIR) is None
    assert lines.offer(fresh(11), None) == "next"


def test_gaps_are_per_conversation(lines: BroadcastOrder) -> None:
    lines.offer(fresh(7), None)
    lines.offer(fresh(9), None)

    assert lines.offer(fresh(3, draft(Room(RoomId("lobby")))), None) == "next"


def test_mark_is_before_first_message_in_doubt(lines: BroadcastOrder) -> None:
    lost = [draft(), draft()]
    for each in lost:
        lines.mark_unconfirmed(each)
    newest: list[Message] = [draft().at(5), lost[0].at(6), draft().at(7), lost[1].at(8)]

    assert lines.offer(fresh(9), None) == "gap"
    lines.recover_mark(PAIR, newest)

    gap = lines.gap(PAIR)
    assert gap is not None
    assert gap.mark == 5


def test_doubt_that_was_not_stored_leaves_no_gap(lines: BroadcastOrder) -> None:
    lines.mark_unconfirmed(draft())
    lines.offer(fresh(9), None)

    lines.recover_mark(PAIR, [draft().at(8)])

    gap = lines.gap(PAIR)
    assert gap is not None
    assert gap.mark == 8


def test_only_retry_of_message_in_doubt_is_broadcast(lines: BroadcastOrder) -> None:
    lost = draft()
    lines.mark_unconfirmed(lost)

    assert lines.offer(again(4), None) == "known"
    assert lines.offer(again(9, lost), None) == "gap"
    assert lines.offer(again(5), None) == "known"


def test_doubt_ends_when_line_advances(lines: BroadcastOrder) -> None:
    lines.offer(fresh(1), None)
    lost = draft()
    lines.mark_unconfirmed(lost)
    assert lines.is_unconfirmed(lost.at(2))

    lines.offer(again(2, lost), None)

    assert not lines.is_unconfirmed(lost.at(2))


def test_doubts_per_conversation_are_bounded(
    lines: BroadcastOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MAX_UNCONFIRMED_MESSAGES", 1)
    lost = [draft(), draft()]
    for each in lost:
        lines.mark_unconfirmed(each)

    assert [lines.is_unconfirmed(each.at(2)) for each in lost] == [False, True]


def test_line_continues_after_store_lost_newest_messages(lines: BroadcastOrder) -> None:
    lines.offer(fresh(9), None)

    assert [lines.offer(fresh(seq), None) for seq in (5, 6)] == ["next"] * 2


def test_message_far_ahead_is_broadcast_without_filling_gap(lines: BroadcastOrder) -> None:
    lines.offer(fresh(1), None)
    assert lines.offer(fresh(2 + MAX_MISSING), None) == "next"

    assert lines.offer(fresh(2 + 2 * MAX_MISSING), None) == "gap"


def test_recently_active_conversations_keep_their_marks() -> None:
    lines = BroadcastOrder(max_marks=2)
    rooms = [draft(Room(RoomId(f"room-{number}"))) for number in range(4)]
    for each in rooms:
        lines.offer(fresh(1, each), None)

    assert lines.offer(fresh(3, rooms[-1]), None) == "gap"
    assert lines.offer(fresh(3, rooms[2]), None) == "gap"
    lines = BroadcastOrder(max_marks=1)
    for each in rooms:
        lines.offer(fresh(1, each), None)
    assert lines.offer(fresh(3, rooms[0]), None) == "next"


@pytest.mark.parametrize("bound", ["MAX_UNCONFIRMED_CONVERSATIONS", "MAX_GAPS"])
def test_doubts_and_gaps_are_bounded(
    lines: BroadcastOrder, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, bound, 1)
    rooms = [draft(Room(RoomId(f"room-{number}"))) for number in range(2)]
    if bound == "MAX_UNCONFIRMED_CONVERSATIONS":
        for each in rooms:
            lines.mark_unconfirmed(each)
        assert [lines.offer(again(9, each), None) for each in rooms] == ["known", "gap"]
    else:
        for each in rooms:
            lines.offer(fresh(1, each), None)
        assert [lines.offer(fresh(3, each), None) for each in rooms] == ["gap", "next"]


def test_senders_in_a_gap_are_bounded(
    lines: BroadcastOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MAX_SENDERS", 1)
    lines.offer(fresh(1), None)
    for seq in (3, 4):
        lines.offer(fresh(seq), LAPTOP)

    gap = lines.gap(PAIR)
    assert gap is not None
    assert gap.sending == {3: LAPTOP}


def test_clear_forgets_marks(lines: BroadcastOrder) -> None:
    lines.offer(fresh(9), None)
    lines.offer(fresh(11), None)

    lines.clear()

    assert lines.gap(PAIR) is None
    assert lines.offer(fresh(20), None) == "next"
