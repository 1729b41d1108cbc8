"""Connections over which nobody has been let in yet: how many come, and how long they may stay."""

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from time import monotonic

from socketio_app.adapters.socketio.deadlines import Deadline
from socketio_app.domain.rates import Rate, RateLimiter

log = logging.getLogger("socketio_app.socketio")

LINES = Rate(per_second=0.1, burst=1)
"""How often the log says the same of strangers."""


class HandshakeLimit:
    """How often one address may open a connection."""

    def __init__(self, rate: Rate | None) -> None:
        self._limiter = None if rate is None else RateLimiter(rate)
        self._lines = RateLimiter(LINES)

    def admits(self, address: str | None) -> bool:
        """Count a handshake; whether it may go on.

        Args:
            address: the address or network that it came from; `None`, of which any number may come,
                where the server does not know, as behind a Unix socket.
        """
        if self._limiter is None or address is None:
            return True
        now = monotonic()
        if not self._limiter.admit(address, now):
            return True
        if not self._lines.admit(address, now):
            log.warning("too many handshakes", extra={"address": address})
        return False


def network_of(host: str) -> str:
    """What one customer of a provider has: an IPv4 address, or the first half of an IPv6 address.

    (RFC 6177: a site has a /64 at the least, and may use a new address for every connection.)
    """
    if ":" not in host:
        return host
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


class Arrivals:
    """Connections that are not let in yet, each of which is given so many seconds.

    One timer serves all: who comes first is late first.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        """How long each is given; 0: as long as it likes."""
        self._late_at: dict[Callable[[], None], float] = {}
        self._timer: Deadline | None = None

    def add(self, on_late: Callable[[], None]) -> None:
        """Call this when the time is over, once, unless it is discarded before."""
        if not self.seconds:
            return
        loop = asyncio.get_running_loop()
        self._late_at[on_late] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = Deadline(self.seconds, self._turn)

    def discard(self, on_late: Callable[[], None]) -> None:
        """Let it stay, or it has gone."""
        self._late_at.pop(on_late, None)

    def stop(self) -> None:
        """Wait for nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = [each for each, at in self._late_at.items() if at <= now]
        for on_late in late:
            del self._late_at[on_late]
            on_late()
        if self._late_at:
            first = next(iter(self._late_at.values()))
            self._timer = Deadline(first - now, self._turn)
