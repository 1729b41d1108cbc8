"""Delivery confirmations: unconfirmed receipts, and when to ping for a confirmation.

Clients confirm implicitly. They answer Engine.IO's pings in order, so a pong proves that everything
written before the ping was received; over polling, the next poll proves that the last response was.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from socketio_app.adapters.engineio.client_session import ClientSession

CONFIRMATION_INTERVAL_SECONDS = 1.0
"""Minimum time between two confirmation pings on one connection."""

MAX_UNCONFIRMED = 1000
"""Maximum number of unconfirmed receipts per connection and transport.

Further receipts are dropped: their messages count as delivered when a later one of the same
conversation is confirmed; otherwise they are pushed to the next connection.
"""


class ConfirmationTimer:
    """A single timer that notifies connections when they may be pinged again."""

    def __init__(self) -> None:
        self._scheduled: deque[tuple[float, ClientSession]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, connection: "ClientSession", now: float) -> None:
        """Call the connection's `may_ping_again` after one interval."""
        self._scheduled.append((now + CONFIRMATION_INTERVAL_SECONDS, connection))
        if self._timer is None:
            self._wait()

    def stop(self) -> None:
        """Cancel all pending calls."""
        self._scheduled.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._scheduled[0][0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        due: list[ClientSession] = []
        while self._scheduled and self._scheduled[0][0] <= now:
            due.append(self._scheduled.popleft()[1])
        for connection in due:
            connection.may_ping_again()
        if self._scheduled and self._timer is None:
            self._wait()


class Unconfirmed:
    """One connection's receipts that the client has not confirmed."""

    __slots__ = ("_pinged", "_polled", "_written")

    def __init__(self) -> None:
        self._written: list[Any] = []
        """Receipts of messages written since the last ping."""
        self._pinged: list[Any] = []
        """Receipts of messages written before the unanswered ping."""
        self._polled: deque[tuple[int, Any]] = deque()
        """Packet numbers and receipts of messages sent in, or queued for, polling responses."""

    def add(self, receipt: Any, packet_number: int | None) -> None:
        """Add the receipt of the message written last.

        Args:
            receipt: reported when the message is confirmed.
            packet_number: number of its packet, which the poll after the one that fetches it
                confirms; `None` if the next ping's pong confirms it.
        """
        if packet_number is None:
            if len(self._written) < MAX_UNCONFIRMED:
                self._written.append(receipt)
        elif len(self._polled) < MAX_UNCONFIRMED:
            self._polled.append((packet_number, receipt))

    @property
    def needs_ping(self) -> bool:
        """Whether receipts were added since the last ping."""
        return bool(self._written)

    def note_ping(self) -> None:
        """Record that a ping was written, after every message added so far."""
        self._pinged += self._written
        self._written = []

    def note_pong(self) -> Sequence[Any]:
        """Record the answer to the ping; return the receipts it confirms."""
        pinged, self._pinged = self._pinged, []
        return pinged

    def note_poll(self, taken: int) -> Sequence[Any]:
        """Record a poll after `taken` packets were fetched; return the receipts it confirms."""
        received: list[Any] = []
        while self._polled and self._polled[0][0] <= taken:
            received.append(self._polled.popleft()[1])
        return received

    def note_upgrade(self) -> None:
        """Record an upgrade to a WebSocket, after which only pongs confirm."""
        self._written += [receipt for _, receipt in self._polled]
        self._polled.clear()
