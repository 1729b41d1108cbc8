"""How long a connection may stay open before its client is authenticated."""

import asyncio
from collections.abc import Callable

from socketio_app.adapters.websocket.deadlines import Deadline


class ConnectTimeout:
    """Connections that are not let in yet, each of which is given so many seconds.

    One timer serves all: who comes first is late first.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadlines: dict[Callable[[], None], float] = {}
        self._timer: Deadline | None = None

    def add(self, on_late: Callable[[], None]) -> None:
        """Call this when the time is over, once, unless it is discarded before."""
        if not self._seconds:
            return
        loop = asyncio.get_running_loop()
        self._deadlines[on_late] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = Deadline(self._seconds, self._tick)

    def discard(self, on_late: Callable[[], None]) -> None:
        """Let it stay, or it has gone."""
        self._deadlines.pop(on_late, None)

    def stop(self) -> None:
        """Wait for nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = [each for each, at in self._deadlines.items() if at <= now]
        for on_late in late:
            del self._deadlines[on_late]
            on_late()
        if self._deadlines:
            first = next(iter(self._deadlines.values()))
            self._timer = Deadline(first - now, self._tick)
