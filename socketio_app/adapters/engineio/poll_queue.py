"""Queue of packets for a polling client."""

import asyncio
from collections import deque
from collections.abc import Sequence

from engineio.packet import MESSAGE, Packet

MAX_POLL_PACKETS = 16
"""Maximum number of packets in a response; python-engineio's client accepts no more."""

MAX_POLL_BYTES = 262_144
"""Approximate maximum size of a response, exceeded by at most one packet."""


class PollQueue:
    """FIFO queue of packets until the client fetches them."""

    __slots__ = (
        "_fetched",
        "_filled",
        "_has_waited",
        "_is_ended",
        "_packets",
        "bytes",
        "overdue_bytes",
        "put_packets",
        "taken_packets",
    )

    def __init__(self) -> None:
        self._packets: deque[tuple[Packet, int]] | None = None
        self._filled: asyncio.Event | None = None
        self._fetched: asyncio.Event | None = None
        self._is_ended = False
        self.bytes = 0
        """Approximate size of the queued packets, in bytes."""
        self.overdue_bytes = 0
        """How many of these bytes were queued behind packets from an earlier turn of the loop. The
        client cannot have begun to fetch packets from the same turn."""
        self._has_waited = False
        self.put_packets = 0
        """Total number of packets put."""
        self.taken_packets = 0
        """Total number of packets taken for responses."""

    def put(self, packet: Packet, size: int) -> None:
        """Queue a packet of approximately `size` bytes."""
        if self._packets is None:
            self._packets = deque()
        if not self._packets:
            asyncio.get_running_loop().call_soon(self._note_waiting)
        self._packets.append((packet, size))
        self.put_packets += 1
        self.bytes += size
        if self._has_waited:
            self.overdue_bytes += size
        self._wake()

    @property
    def has_messages(self) -> bool:
        """Whether any queued packet is a message, not one of Engine.IO's control packets."""
        return any(packet.packet_type == MESSAGE for packet, _ in self._packets or ())

    def end(self) -> None:
        """Wake all waiters, and make `filled` and `fetched` return immediately from now on."""
        self._is_ended = True
        self._wake()
        self._wake_waiting_for_fetch()

    def clear(self) -> None:
        """Drop all packets."""
        self._packets = None
        self.bytes = self.overdue_bytes = 0
        self._has_waited = False
        self._wake_waiting_for_fetch()

    async def fetched(self, max_bytes: int) -> None:
        """Wait until at most `max_bytes` are queued or the queue has ended."""
        while self.bytes > max_bytes and not self._is_ended:
            self._fetched = self._fetched or asyncio.Event()
            await self._fetched.wait()

    async def filled(self) -> None:
        """Wait until a packet is queued or the queue has ended."""
        if not self._packets and not self._is_ended:
            self._filled = self._filled or asyncio.Event()
            self._filled.clear()
            await self._filled.wait()

    def take(self) -> Sequence[Packet]:
        """Take the packets for one response: as many of the first as a client accepts."""
        taken: list[Packet] = []
        taken_bytes = 0
        while self._packets and len(taken) < MAX_POLL_PACKETS and taken_bytes < MAX_POLL_BYTES:
            packet, size = self._packets.popleft()
            taken.append(packet)
            taken_bytes += size
        self.taken_packets += len(taken)
        self.bytes -= taken_bytes
        self.overdue_bytes = min(self.overdue_bytes, self.bytes)
        self._has_waited = bool(self._packets)
        self._wake_waiting_for_fetch()
        return taken

    def take_all(self) -> Sequence[Packet]:
        """Take all packets, for another transport."""
        packets = [packet for packet, _ in self._packets or ()]
        self.clear()
        return packets

    def _note_waiting(self) -> None:
        self._has_waited = bool(self._packets)

    def _wake(self) -> None:
        if self._filled is not None:
            self._filled.set()

    def _wake_waiting_for_fetch(self) -> None:
        if self._fetched is not None:
            self._fetched.set()
            self._fetched = None
