"""What waits for a polling client is in order, in portions, and counted."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from engineio.packet import MESSAGE, Packet

from socketio_app.adapters.engineio.poll_queue import MAX_POLL_BYTES, MAX_POLL_PACKETS, Outbox

pytestmark = pytest.mark.anyio


def message(number: int) -> Packet:
    return Packet(MESSAGE, str(number))


async def test_packets_are_taken_in_their_order_a_portion_at_a_time() -> None:
    outbox = Outbox()
    packets = [message(number) for number in range(MAX_POLL_PACKETS + 1)]
    for packet in packets:
        outbox.put(packet, 10)

    assert outbox.take() == packets[:MAX_POLL_PACKETS]
    assert outbox.take() == packets[MAX_POLL_PACKETS:]
    assert (list(outbox.take()), outbox.bytes) == ([], 0)


async def test_an_answer_has_a_size() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.put(message(number), MAX_POLL_BYTES)

    assert [len(outbox.take()) for _ in range(3)] == [1, 1, 1]


async def test_what_comes_in_one_turn_is_not_overdue_and_what_comes_later_is() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.put(message(number), 100)
    assert outbox.overdue_bytes == 0

    await asyncio.sleep(0)
    outbox.put(message(3), 100)

    assert (outbox.bytes, outbox.overdue_bytes) == (400, 100)


async def test_who_fetches_all_is_overdue_with_nothing() -> None:
    outbox = Outbox()
    outbox.put(message(0), 100)
    await asyncio.sleep(0)
    outbox.put(message(1), 100)

    outbox.take()
    outbox.put(message(2), 100)

    assert outbox.overdue_bytes == 0


async def test_who_waits_is_woken_by_a_packet_and_by_the_end() -> None:
    outbox = Outbox()
    wakes: list[Callable[[], None]] = [partial(outbox.put, message(0), 1), outbox.end]
    for wake in wakes:
        waiting = asyncio.create_task(outbox.filled())
        await asyncio.sleep(0)
        assert not waiting.done()

        wake()

        await asyncio.wait_for(waiting, 60)
        outbox.take()


async def test_another_transport_takes_all_at_once() -> None:
    outbox = Outbox()
    packets = [message(number) for number in range(2 * MAX_POLL_PACKETS)]
    for packet in packets:
        outbox.put(packet, 10)

    assert outbox.take_all() == packets
    assert outbox.bytes == 0


@pytest.mark.parametrize(
    "wake", [Outbox.take, Outbox.clear, Outbox.end], ids=lambda wake: wake.__name__
)
async def test_what_waits_for_a_fetch_goes_on_after_it(wake: Callable[[Outbox], object]) -> None:
    outbox = Outbox()
    outbox.put(message(0), 100)
    waiting = asyncio.create_task(outbox.fetched(50))
    await asyncio.sleep(0)
    assert not waiting.done()

    wake(outbox)

    async with asyncio.timeout(60):
        await waiting


async def test_nothing_waits_for_a_fetch_of_little() -> None:
    outbox = Outbox()
    outbox.put(message(0), 100)

    async with asyncio.timeout(60):
        await outbox.fetched(100)
