"""Ends the connections of clients that answer no more.

python-engineio's own task for it wakes up once per connection in each ping timeout, which is half
of what a thousand idle connections cost. This one wakes up every few seconds for all of them.
"""

import asyncio
import logging

import engineio
from engineio.exceptions import SocketIsClosedError

log = logging.getLogger("socketio_app.socketio")

LOOKS_PER_TIMEOUT = 4
"""How often to look, within the time that a client has for answering a ping."""


class Watchdog:
    """Looks after an Engine.IO server's connections, from the first one on."""

    def __init__(self, engine: engineio.AsyncServer, ping_timeout_seconds: float) -> None:
        self._engine = engine
        self._every_seconds = ping_timeout_seconds / LOOKS_PER_TIMEOUT
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look. Starting it again changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._look_again_and_again())

    async def stop(self) -> None:
        """Look no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            for sid, socket in list(self._engine.sockets.items()):
                try:
                    if not socket.closed:
                        await socket.check_ping_timeout()
                except SocketIsClosedError:
                    pass  # it went by itself in the meantime
                except Exception:
                    log.exception("fault while ending a connection that answers no more")
                if socket.closed:
                    self._engine.sockets.pop(sid, None)
