"""How often one address may open a connection."""

import logging
from ipaddress import IPv6Address, ip_address
from time import monotonic

from socketio_app.adapters.log_rate import LINE_RATE
from socketio_app.domain.rates import Rate, RateLimiter

log = logging.getLogger("socketio_app.socketio")


class HandshakeLimit:
    """How often one address may open a connection."""

    def __init__(self, rate: Rate | None) -> None:
        self._limiter = None if rate is None else RateLimiter(rate)
        self._lines = RateLimiter(LINE_RATE)

    def accepts(self, address: str | None) -> bool:
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
