"""Packets that polling clients can still fetch after their session is closed.

A WebSocket is closed after everything written to it has been sent. A polling session may be closed
between two polls, or with more packets queued than fit into one response.
"""

import asyncio

import attrs
from engineio.packet import Packet

from socketio_app.adapters.engineio.poll_queue import PollQueue
from socketio_app.adapters.websocket.deadlines import Deadline
from socketio_app.adapters.websocket.interface import CLOSE_TIMEOUT_SECONDS


@attrs.frozen
class _Queue:
    poll_queue: PollQueue
    deadline: Deadline
    is_done: asyncio.Event


class RemainingPackets:
    """Queued packets of closed sessions, each retained for at most `CLOSE_TIMEOUT_SECONDS`."""

    def __init__(self) -> None:
        self._packets: dict[str, _Queue] = {}

    def keep(self, sid: str, poll_queue: PollQueue) -> None:
        """Retain the packets that a session's client has not fetched."""
        deadline = Deadline(CLOSE_TIMEOUT_SECONDS, lambda: self.drop(sid))
        self._packets[sid] = _Queue(poll_queue, deadline, asyncio.Event())

    def __bool__(self) -> bool:
        """Whether any session has packets left."""
        return bool(self._packets)

    def __contains__(self, sid: object) -> bool:
        """Whether a session has packets left."""
        return sid in self._packets

    def take(self, sid: str) -> list[Packet]:
        """Return the packets for the next poll of a session that has packets left."""
        poll_queue = self._packets[sid].poll_queue
        packets = [*poll_queue.take()]
        if not poll_queue.bytes:
            self.drop(sid)
        return packets

    def drop(self, sid: str) -> None:
        """Drop a session's remaining packets, if any."""
        leftover = self._packets.pop(sid, None)
        if leftover is not None:
            leftover.deadline.cancel()
            leftover.is_done.set()

    async def fetched(self) -> None:
        """Wait until all packets are fetched or dropped."""
        for leftover in [*self._packets.values()]:
            await leftover.is_done.wait()

    def stop(self) -> None:
        """Drop all packets."""
        for sid in [*self._packets]:
            self.drop(sid)
