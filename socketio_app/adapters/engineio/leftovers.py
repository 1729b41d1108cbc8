"""What clients that poll may still fetch after their session has ended.

A WebSocket is closed after what was written to it; a session that is polled may have ended between
two polls, or with more packets than one answer holds.
"""

import asyncio

import attrs
from engineio.packet import Packet

from socketio_app.adapters.engineio.poll_queue import PollQueue
from socketio_app.adapters.websocket.deadlines import Deadline
from socketio_app.adapters.websocket.interface import CLOSE_SECONDS


@attrs.frozen
class _Leftover:
    poll_queue: PollQueue
    deadline: Deadline
    is_over: asyncio.Event


class Leftovers:
    """The packets of sessions that have ended, for `CLOSE_SECONDS` at most."""

    def __init__(self) -> None:
        self._leftovers: dict[str, _Leftover] = {}

    def keep(self, sid: str, poll_queue: PollQueue) -> None:
        """Keep what was not fetched of a session."""
        deadline = Deadline(CLOSE_SECONDS, lambda: self.drop(sid))
        self._leftovers[sid] = _Leftover(poll_queue, deadline, asyncio.Event())

    def __bool__(self) -> bool:
        """Whether there is something left of any session."""
        return bool(self._leftovers)

    def __contains__(self, sid: object) -> bool:
        """Whether there is something left of a session."""
        return sid in self._leftovers

    def take(self, sid: str) -> list[Packet]:
        """The packets for the next poll, of which there are some."""
        poll_queue = self._leftovers[sid].poll_queue
        packets = [*poll_queue.take()]
        if not poll_queue.bytes:
            self.drop(sid)
        return packets

    def drop(self, sid: str) -> None:
        """Keep nothing more of a session, if there was something."""
        leftover = self._leftovers.pop(sid, None)
        if leftover is not None:
            leftover.deadline.cancel()
            leftover.is_over.set()

    async def fetched(self) -> None:
        """Wait until everything was fetched, or the time is over."""
        for leftover in [*self._leftovers.values()]:
            await leftover.is_over.wait()

    def stop(self) -> None:
        """Drop everything."""
        for sid in [*self._leftovers]:
            self.drop(sid)
