"""The queue of a polling client: ordered, taken in portions, and counted."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from engineio.packet import MESSAGE, Packet

from socketio_app.adapters.engineio.poll_queue import MAX_POLL_BYTES, MAX_POLL_PACKETS, PollQueue

pytestmark = pytest.mark.anyio


def message(number: int) -> Packet:
    return Packet(MESSAGE, str(number))


async def test_packets_are_taken_in_order_in_bounded_portions() -> None:
    poll_queue = PollQueue()
    packets = [message(number) for number in range(MAX_POLL_PACKETS + 1)]
    for packet in packets:
        poll_queue.put(packet, 10)

    assert poll_queue.take() == packets[:MAX_POLL_PACKETS]
    assert poll_queue.take() == packets[MAX_POLL_PACKETS:]
    assert (list(poll_queue.take()), poll_queue.bytes) == ([], 0)


async def test_response_is_limited_in_bytes() -> None:
    poll_queue = PollQueue()
    for number in range(3):
        poll_queue.put(message(number), MAX_POLL_BYTES)

    assert [len(poll_queue.take()) for _ in range(3)] == [1, 1, 1]


async def test_packets_queued_in_later_ticks_are_overdue() -> None:
    poll_queue = PollQueue()
    for number in range(3):
        poll_queue.put(message(number), 100)
    assert poll_queue.overdue_bytes == 0

    await asyncio.sleep(0)
    poll_queue.put(message(3), 100)

    assert (poll_queue.bytes, poll_queue.overdue_bytes) == (400, 100)


async def test_nothing_is_overdue_after_all_packets_were_taken() -> None:
    poll_queue = PollQueue()
    poll_queue.put(message(0), 100)
    await asyncio.sleep(0)
    poll_queue.put(message(1), 100)

    poll_queue.take()
    poll_queue.put(message(2), 100)

    assert poll_queue.overdue_bytes == 0


async def test_filled_returns_on_packet_or_end() -> None:
    poll_queue = PollQueue()
    wakes: list[Callable[[], None]] = [partial(poll_queue.put, message(0), 1), poll_queue.end]
    for wake in wakes:
        waiting = asyncio.create_task(poll_queue.filled())
        await asyncio.sleep(0)
        assert not waiting.done()

        wake()

        await asyncio.wait_for(waiting, 60)
        poll_queue.take()


async def test_take_all_returns_all_packets() -> None:
    poll_queue = PollQueue()
    packets = [message(number) for number in range(2 * MAX_POLL_PACKETS)]
    for packet in packets:
        poll_queue.put(packet, 10)

    assert poll_queue.take_all() == packets
    assert poll_queue.bytes == 0


@pytest.mark.parametrize(
    "wake", [PollQueue.take, PollQueue.clear, PollQueue.end], ids=lambda wake: wake.__name__
)
async def test_fetched_returns_after_fetch(wake: Callable[[PollQueue], object]) -> None:
    poll_queue = PollQueue()
    poll_queue.put(message(0), 100)
    waiting = asyncio.create_task(poll_queue.fetched(50))
    await asyncio.sleep(0)
    assert not waiting.done()

    wake(poll_queue)

    async with asyncio.timeout(60):
        await waiting


async def test_fetched_returns_immediately_within_limit() -> None:
    poll_queue = PollQueue()
    poll_queue.put(message(0), 100)

    async with asyncio.timeout(60):
        await poll_queue.fetched(100)
