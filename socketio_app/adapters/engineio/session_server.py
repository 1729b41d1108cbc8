"""Counting, draining and stopping of client sessions, for any protocol."""

import logging
from collections.abc import Sequence

from socketio_app.adapters.engineio.client_session import ClientSession
from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.drain import drain_all

log = logging.getLogger("socketio_app.socketio")


class SessionServer:
    """A server of client sessions over one transport."""

    def __init__(self, context: SessionContext) -> None:
        self.context = context

    @property
    def sessions(self) -> Sequence[ClientSession]:
        """The open sessions."""
        return [*self.context.sessions.values()]

    @property
    def unread_bytes(self) -> int:
        """Size of the data queued for all clients, in bytes."""
        return sum(session.unread_bytes for session in self.context.sessions.values())

    @property
    def dropped_frames(self) -> int:
        """Number of frames dropped because their clients did not read."""
        return self.context.dropped_frames

    def start(self) -> None:
        """Accept connections, initially or again after `stop`."""
        self.context.is_draining = False

    async def drain(self, seconds: float) -> None:
        """Reject new connections, and close existing ones so that clients reconnect elsewhere.

        Args:
            seconds: time over which connections are closed. They are served until then, and
                afterwards polling clients can fetch what is queued for them.
        """
        await self.close_sessions(seconds)
        await self.context.leftovers.fetched()

    async def close_sessions(self, seconds: float) -> None:
        """Reject new connections, and close existing ones over some seconds."""
        self.context.is_draining = True
        sessions = self.sessions
        await drain_all(sessions, seconds)
        if sessions:
            log.info("closed all connections", extra={"connections": len(sessions)})

    async def stop(self) -> None:
        """Close all connections immediately. Calling it twice is harmless."""
        await self.close_sessions(0)
        self.context.stop()
