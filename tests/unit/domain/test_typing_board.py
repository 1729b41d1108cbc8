"""Who is typing where, and until when."""

from datetime import timedelta

import pytest

from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import RoomId
from socketio_app.domain.typing_board import TypingBoard, TypingStarted, TypingStopped
from tests.builders import ADA, BOB, NOON

TTL = timedelta(seconds=8)
MOMENT = timedelta(milliseconds=1)
LOBBY: Conversation = Room(RoomId("lobby"))
PAIR: Conversation = Pair.of(ADA, BOB)


@pytest.fixture
def board() -> TypingBoard:
    return TypingBoard(TTL)


def test_a_beginning_is_a_change(board: TypingBoard) -> None:
    assert list(board.start(ADA, LOBBY, NOON)) == [TypingStarted(ADA, LOBBY, expires_in=TTL)]


def test_a_renewal_is_none(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.start(ADA, LOBBY, NOON + TTL - MOMENT)) == []


def test_a_stop_is_a_change(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.stop(ADA, LOBBY)) == [TypingStopped(ADA, LOBBY)]


def test_stopping_twice_is_one_change(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.stop(ADA, LOBBY)

    assert list(board.stop(ADA, LOBBY)) == []


def test_who_stopped_may_begin_again(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.stop(ADA, LOBBY)

    assert list(board.start(ADA, LOBBY, NOON)) == [TypingStarted(ADA, LOBBY, TTL)]


def test_a_state_ends_after_its_time_to_live_and_not_before(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.expire(NOON + TTL - MOMENT)) == []
    assert list(board.expire(NOON + TTL)) == [TypingStopped(ADA, LOBBY)]
    assert list(board.expire(NOON + 2 * TTL)) == []


def test_a_renewed_state_lasts_from_the_renewal(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.start(ADA, LOBBY, NOON + MOMENT)

    assert list(board.expire(NOON + TTL)) == []
    assert list(board.expire(NOON + TTL + MOMENT)) == [TypingStopped(ADA, LOBBY)]


def test_a_state_that_ran_out_unnoticed_is_ended_before_the_next_begins(
    board: TypingBoard,
) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.start(ADA, LOBBY, NOON + TTL)) == [
        TypingStopped(ADA, LOBBY),
        TypingStarted(ADA, LOBBY, TTL),
    ]


def test_each_conversation_has_a_state_of_its_own(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.start(ADA, PAIR, NOON)) == [TypingStarted(ADA, PAIR, TTL)]
    assert list(board.stop(ADA, PAIR)) == [TypingStopped(ADA, PAIR)]
    assert list(board.start(ADA, LOBBY, NOON)) == []


def test_each_user_has_a_state_of_their_own(board: TypingBoard) -> None:
    board.start(ADA, PAIR, NOON)

    assert list(board.start(BOB, PAIR, NOON)) == [TypingStarted(BOB, PAIR, TTL)]
    assert list(board.stop(BOB, PAIR)) == [TypingStopped(BOB, PAIR)]
    assert list(board.start(ADA, PAIR, NOON)) == []


def test_all_of_a_users_states_end_together(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.start(ADA, PAIR, NOON)
    board.start(BOB, PAIR, NOON)

    assert list(board.stop_all(ADA)) == [TypingStopped(ADA, LOBBY), TypingStopped(ADA, PAIR)]
    assert list(board.stop_all(ADA)) == []
    assert list(board.stop(BOB, PAIR)) == [TypingStopped(BOB, PAIR)]


def test_what_runs_out_at_once_is_told_in_the_order_in_which_it_was_due(
    board: TypingBoard,
) -> None:
    board.start(ADA, LOBBY, NOON)
    board.start(BOB, LOBBY, NOON + MOMENT)
    board.start(ADA, LOBBY, NOON + 2 * MOMENT)

    assert list(board.expire(NOON + 2 * TTL)) == [
        TypingStopped(BOB, LOBBY),
        TypingStopped(ADA, LOBBY),
    ]


def test_the_next_expiry_is_the_earliest(board: TypingBoard) -> None:
    expiries = [board.next_expiry()]

    board.start(ADA, LOBBY, NOON)
    board.start(BOB, LOBBY, NOON + MOMENT)
    expiries.append(board.next_expiry())
    board.start(ADA, LOBBY, NOON + 2 * MOMENT)
    expiries.append(board.next_expiry())
    board.stop(BOB, LOBBY)
    expiries.append(board.next_expiry())
    board.stop(ADA, LOBBY)
    expiries.append(board.next_expiry())

    assert expiries == [None, NOON + TTL, NOON + TTL + MOMENT, NOON + TTL + 2 * MOMENT, None]


def test_nothing_is_kept_of_who_stopped(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.start(ADA, PAIR, NOON)
    board.start(BOB, PAIR, NOON)
    board.stop(ADA, LOBBY)
    board.expire(NOON + TTL)

    assert not board._until
    assert not board._typing_in
