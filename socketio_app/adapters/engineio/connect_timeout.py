"""Time-out for clients to authenticate after the handshake."""

import asyncio
from collections.abc import Callable

from socketio_app.adapters.websocket.deadlines import Deadline


class ConnectTimeout:
    """The authentication time-outs of all connections that are not authenticated.

    A single timer suffices, because connections time out in the order in which they were added.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadlines: dict[Callable[[], None], float] = {}
        self._timer: Deadline | None = None

    def add(self, on_timeout: Callable[[], None]) -> None:
        """Call `on_timeout` once when the time-out expires, unless it is discarded first."""
        if not self._seconds:
            return
        loop = asyncio.get_running_loop()
        self._deadlines[on_timeout] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = Deadline(self._seconds, self._tick)

    def discard(self, on_timeout: Callable[[], None]) -> None:
        """Cancel the time-out of a connection that is authenticated or closed."""
        self._deadlines.pop(on_timeout, None)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = [each for each, at in self._deadlines.items() if at <= now]
        for on_timeout in late:
            del self._deadlines[on_timeout]
            on_timeout()
        if self._deadlines:
            first = next(iter(self._deadlines.values()))
            self._timer = Deadline(first - now, self._tick)
