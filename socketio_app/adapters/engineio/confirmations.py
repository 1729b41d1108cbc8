"""What was written to a client and has not been confirmed, and when to ask for a confirmation.

A client confirms without knowing it. It answers Engine.IO's pings in order, so a pong proves that
everything written before the ping was received; and over polling, the next poll proves that the
last answer was.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

CONFIRMATION_INTERVAL_SECONDS = 1.0
"""Minimum time between two pings that ask one connection for a confirmation."""

MAX_UNCONFIRMED = 1000
"""Maximum number of receipts that wait for one connection's confirmations, on each transport.

Further receipts are dropped: their messages count as delivered when a later one of the same
conversation is confirmed, and are pushed to the next connection otherwise.
"""


class Confirming(Protocol):
    """A connection that is not pinged again before its interval is over."""

    def may_ping_again(self) -> None:
        """Send the next ping, if something waits for a confirmation."""
        ...


class ConfirmationTimer:
    """Reminds each connection when it may be pinged again, by one timer for all of them."""

    def __init__(self) -> None:
        self._resting: deque[tuple[float, Confirming]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, connection: Confirming, now: float) -> None:
        """Call the connection's `may_ping_again` after one interval."""
        self._resting.append((now + CONFIRMATION_INTERVAL_SECONDS, connection))
        if self._timer is None:
            self._wait()

    def stop(self) -> None:
        """Call nobody any more."""
        self._resting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._resting[0][0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        due: list[Confirming] = []
        while self._resting and self._resting[0][0] <= now:
            due.append(self._resting.popleft()[1])
        for connection in due:
            connection.may_ping_again()
        if self._resting and self._timer is None:
            self._wait()


class Unconfirmed:
    """One connection's receipts: what to report once the client has confirmed what it got."""

    __slots__ = ("_pinged", "_polled", "_written")

    def __init__(self) -> None:
        self._written: list[Any] = []
        """Of what was written after the last ping."""
        self._pinged: list[Any] = []
        """Of what was written before the ping that is under way."""
        self._polled: deque[tuple[int, Any]] = deque()
        """Of what was given to polls, or waits for them; and the number of its packet."""

    def add_written(self, receipt: Any) -> None:
        """Report something as received once a ping that is still to be sent is answered."""
        if len(self._written) < MAX_UNCONFIRMED:
            self._written.append(receipt)

    def add_polled(self, receipt: Any, packet_number: int) -> None:
        """Report something as received once the poll after the one with its packet comes."""
        if len(self._polled) < MAX_UNCONFIRMED:
            self._polled.append((packet_number, receipt))

    @property
    def needs_ping(self) -> bool:
        """Whether something was written since the last ping."""
        return bool(self._written)

    def note_ping(self) -> None:
        """A ping was written behind all that was written so far."""
        self._pinged += self._written
        self._written = []

    def note_pong(self) -> Sequence[Any]:
        """The ping was answered; what has been received by that."""
        pinged, self._pinged = self._pinged, []
        return pinged

    def note_poll(self, taken: int) -> Sequence[Any]:
        """A poll came, and earlier ones were given `taken` packets; what was received by that."""
        received: list[Any] = []
        while self._polled and self._polled[0][0] <= taken:
            received.append(self._polled.popleft()[1])
        return received

    def note_upgrade(self) -> None:
        """The client has changed to a WebSocket. Only a pong confirms from now on."""
        self._written += [receipt for _, receipt in self._polled]
        self._polled.clear()
