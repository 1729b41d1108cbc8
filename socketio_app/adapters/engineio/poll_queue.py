"""What waits for a polling client to fetch it."""

import asyncio
from collections import deque
from collections.abc import Sequence

from engineio.packet import MESSAGE, Packet

MAX_POLL_PACKETS = 16
"""python-engineio's client takes no more packets in one answer."""

MAX_POLL_BYTES = 262_144
"""About so many bytes go into one answer, beyond its first packet."""


class PollQueue:
    """Packets in their order, until they are fetched."""

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
        """How many bytes wait, about."""
        self.overdue_bytes = 0
        """How many of them came when others waited already from an earlier turn of the loop: what
        comes in one turn, the client cannot have begun to fetch."""
        self._has_waited = False
        self.put_packets = 0
        """Number of packets that were ever put."""
        self.taken_packets = 0
        """Number of packets that were ever taken for an answer."""

    def put(self, packet: Packet, size: int) -> None:
        """Let a packet of about `size` bytes wait after those before it."""
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
        """Whether something other than Engine.IO's own packets waits."""
        return any(packet.packet_type == MESSAGE for packet, _ in self._packets or ())

    def end(self) -> None:
        """Let nobody wait for packets any more."""
        self._is_ended = True
        self._wake()
        self._wake_waiting_for_fetch()

    def clear(self) -> None:
        """Forget all that waits."""
        self._packets = None
        self.bytes = self.overdue_bytes = 0
        self._has_waited = False
        self._wake_waiting_for_fetch()

    async def fetched(self, max_bytes: int) -> None:
        """Wait until no more than so many bytes wait, or nothing will be fetched any more."""
        while self.bytes > max_bytes and not self._is_ended:
            self._fetched = self._fetched or asyncio.Event()
            await self._fetched.wait()

    async def filled(self) -> None:
        """Wait until there is something, or nothing will come any more."""
        if not self._packets and not self._is_ended:
            self._filled = self._filled or asyncio.Event()
            self._filled.clear()
            await self._filled.wait()

    def take(self) -> Sequence[Packet]:
        """What goes into one answer: the first packets, as many as a client takes."""
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
        """All that waits, for another transport."""
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
