"""The share of new connections in the turns of the event loop."""

import asyncio
from collections.abc import Callable

import pytest

from socketio_app.adapters.websocket.shared_turn import MAX_PER_TURN, SharedTurn, shared_turn

pytestmark = pytest.mark.anyio


async def next_turn() -> None:
    await asyncio.sleep(0)


def noting(handled: list[int], number: int) -> Callable[[], None]:
    return lambda: handled.append(number)


async def test_first_pieces_of_turn_are_handled_at_once() -> None:
    turn = SharedTurn()

    assert [turn.take() for _ in range(MAX_PER_TURN + 1)] == [True] * MAX_PER_TURN + [False]


async def test_next_turn_has_its_own_share() -> None:
    turn = SharedTurn()
    while turn.take():
        pass

    await next_turn()

    assert turn.take()


async def test_waiting_pieces_are_handled_in_order_a_few_per_turn() -> None:
    turn = SharedTurn()
    handled: list[int] = []
    for number in range(2 * MAX_PER_TURN + 1):
        turn.wait(noting(handled, number))

    handled_by_turn = []
    for _ in range(4):
        await next_turn()
        handled_by_turn.append(list(handled))

    numbers = list(range(2 * MAX_PER_TURN + 1))
    assert handled_by_turn == [
        numbers[:MAX_PER_TURN],
        numbers[: 2 * MAX_PER_TURN],
        numbers,
        numbers,
    ]


async def test_waiting_pieces_come_before_new_ones() -> None:
    turn = SharedTurn()
    handled: list[int] = []
    for number in range(MAX_PER_TURN + 1):
        turn.wait(noting(handled, number))

    await next_turn()

    assert not turn.take()


async def test_piece_that_raises_does_not_stop_those_behind_it() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    turn = SharedTurn()
    handled: list[int] = []
    turn.wait(lambda: [][0])
    turn.wait(noting(handled, 1))

    await next_turn()
    await next_turn()

    assert handled == [1]


async def test_connections_of_a_loop_share_one_turn() -> None:
    loop = asyncio.get_running_loop()

    assert shared_turn(loop) is shared_turn(loop)
