"""Typing states and their expiry."""

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


def test_start_is_a_change(board: TypingBoard) -> None:
    assert list(board.start(ADA, LOBBY, NOON)) == [TypingStarted(ADA, LOBBY, expires_in=TTL)]


def test_renewal_is_not_a_change(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.start(ADA, LOBBY, NOON + TTL - MOMENT)) == []


def test_stop_is_a_change(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.stop(ADA, LOBBY, NOON)) == [TypingStopped(ADA, LOBBY)]


def test_second_stop_is_not_a_change(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.stop(ADA, LOBBY, NOON)

    assert list(board.stop(ADA, LOBBY, NOON)) == []


def test_start_after_stop_is_a_change(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.stop(ADA, LOBBY, NOON)

    assert list(board.start(ADA, LOBBY, NOON)) == [TypingStarted(ADA, LOBBY, TTL)]


def test_state_expires_after_ttl(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.expire(NOON + TTL - MOMENT)) == []
    assert list(board.expire(NOON + TTL)) == [TypingStopped(ADA, LOBBY)]
    assert list(board.expire(NOON + 2 * TTL)) == []


def test_renewal_extends_expiry(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.start(ADA, LOBBY, NOON + MOMENT)

    assert list(board.expire(NOON + TTL)) == []
    assert list(board.expire(NOON + TTL + MOMENT)) == [TypingStopped(ADA, LOBBY)]


def test_expired_state_is_stopped_before_new_start(
    board: TypingBoard,
) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.start(ADA, LOBBY, NOON + TTL)) == [
        TypingStopped(ADA, LOBBY),
        TypingStarted(ADA, LOBBY, TTL),
    ]


def test_states_are_per_conversation(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)

    assert list(board.start(ADA, PAIR, NOON)) == [TypingStarted(ADA, PAIR, TTL)]
    assert list(board.stop(ADA, PAIR, NOON)) == [TypingStopped(ADA, PAIR)]
    assert list(board.start(ADA, LOBBY, NOON)) == []


def test_states_are_per_user(board: TypingBoard) -> None:
    board.start(ADA, PAIR, NOON)

    assert list(board.start(BOB, PAIR, NOON)) == [TypingStarted(BOB, PAIR, TTL)]
    assert list(board.stop(BOB, PAIR, NOON)) == [TypingStopped(BOB, PAIR)]
    assert list(board.start(ADA, PAIR, NOON)) == []


def test_stop_all_ends_all_states_of_user(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.start(ADA, PAIR, NOON)
    board.start(BOB, PAIR, NOON)

    assert list(board.stop_all(ADA, NOON)) == [TypingStopped(ADA, LOBBY), TypingStopped(ADA, PAIR)]
    assert list(board.stop_all(ADA, NOON)) == []
    assert list(board.stop(BOB, PAIR, NOON)) == [TypingStopped(BOB, PAIR)]


def test_states_expire_in_order_of_due_time(
    board: TypingBoard,
) -> None:
    board.start(ADA, LOBBY, NOON)
    board.start(BOB, LOBBY, NOON + MOMENT)
    board.start(ADA, LOBBY, NOON + 2 * MOMENT)

    assert list(board.expire(NOON + 2 * TTL)) == [
        TypingStopped(BOB, LOBBY),
        TypingStopped(ADA, LOBBY),
    ]


def test_next_expiry_is_earliest(board: TypingBoard) -> None:
    expiries = [board.next_expiry()]

    board.start(ADA, LOBBY, NOON)
    board.start(BOB, LOBBY, NOON + MOMENT)
    expiries.append(board.next_expiry())
    board.start(ADA, LOBBY, NOON + 2 * MOMENT)
    expiries.append(board.next_expiry())
    board.stop(BOB, LOBBY, NOON)
    expiries.append(board.next_expiry())
    board.stop(ADA, LOBBY, NOON)
    expiries.append(board.next_expiry())

    assert expiries == [None, NOON + TTL, NOON + TTL + MOMENT, NOON + TTL + 2 * MOMENT, None]


def test_user_has_state_from_start_until_it_is_removed(board: TypingBoard) -> None:
    has_state = [board.has_state(ADA, LOBBY)]

    board.start(ADA, LOBBY, NOON)
    has_state += [board.has_state(ADA, LOBBY), board.has_state(BOB, LOBBY)]
    board.expire(NOON + TTL)
    has_state.append(board.has_state(ADA, LOBBY))

    assert has_state == [False, True, False, False]


def test_no_state_is_kept_after_stop(board: TypingBoard) -> None:
    board.start(ADA, LOBBY, NOON)
    board.start(ADA, PAIR, NOON)
    board.start(BOB, PAIR, NOON)
    board.stop(ADA, LOBBY, NOON)
    board.expire(NOON + TTL)

    assert not board._until
    assert not board._typing_in
