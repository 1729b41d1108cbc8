"""Rate limit of handshakes per client address."""

import logging
from ipaddress import IPv6Address, ip_address
from time import monotonic

from starlette.types import Scope

from socketio_app.adapters.log_event import log_event
from socketio_app.adapters.log_rate import LINE_RATE
from socketio_app.domain.rates import Rate, RateLimiter

log = logging.getLogger("socketio_app.socketio")


class HandshakeLimit:
    """Rate limit of handshakes per client address."""

    def __init__(self, rate: Rate | None) -> None:
        self._limiter = None if rate is None else RateLimiter(rate)
        self._log_limiter = RateLimiter(LINE_RATE)

    def accepts(self, address: str | None) -> bool:
        """Count a handshake; return whether it is within the limit.

        Args:
            address: the client's address or network; `None`, which is not limited, if the server
                does not know it, for example behind a Unix socket.
        """
        if self._limiter is None or address is None:
            return True
        now = monotonic()
        if not self._limiter.admit(address, now):
            return True
        if not self._log_limiter.admit(address, now):
            log_event(log, logging.WARNING, "too many handshakes", {"address": address})
        return False


def client_network(scope: Scope) -> str | None:
    """Return the unit of rate limiting for a request's client; `None` if its address is unknown."""
    client = scope.get("client")
    return network_of(client[0]) if client else None


def network_of(host: str) -> str:
    """Return the unit of rate limiting for an address: the IPv4 address, or the IPv6 /64 network.

    A site has at least a /64 (RFC 6177), and may use a new address for every connection.
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
