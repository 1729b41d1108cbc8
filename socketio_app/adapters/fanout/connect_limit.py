"""Rate limits for connecting to the chat."""

from math import ceil
from time import monotonic
from typing import Final

import attrs

from socketio_app.domain.errors import RateLimited
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.rates import Rate, RateLimiter


@attrs.frozen
class ConnectRates:
    """Maximum rates of CONNECT packets; `None` for no limit."""

    per_connection: Rate | None = None
    per_address: Rate | None = None
    per_user: Rate | None = None


class ConnectLimit:
    """Limits the rate of CONNECT packets.

    Each one costs the verification of a token, reads of the store, a subscription to each of the
    user's rooms and two log lines. The rates per connection and per address are therefore checked
    before the token is verified; the rate per user can only be checked afterwards.
    """

    def __init__(self, rates: ConnectRates) -> None:
        self._per_connection = _limiter(rates.per_connection)
        self._per_address = _limiter(rates.per_address)
        self._per_user = _limiter(rates.per_user)

    def check(self, sid: str, address: str | None, *, is_first: bool) -> None:
        """Count a CONNECT packet of a connection.

        Args:
            sid: the session id of the connection.
            address: the client's address or network; `None` if unknown.
            is_first: whether this is the connection's first CONNECT, which does not count for the
                address: the handshake limit has counted it. Official clients do not retry after a
                rejected CONNECT, so clients in one office that all reconnect at the same time must
                not be rejected here.

        Raises:
            RateLimited: the connection or the address exceeds its rate.
        """
        _count(self._per_connection, sid)
        if address is not None and not is_first:
            _count(self._per_address, address)

    def check_user(self, user_id: UserId) -> None:
        """Count a CONNECT packet with a valid token of the user.

        Raises:
            RateLimited: the user exceeds their rate.
        """
        _count(self._per_user, user_id)


def _limiter(rate: Rate | None) -> RateLimiter | None:
    return None if rate is None else RateLimiter(rate)


def _count(limiter: RateLimiter | None, key: str) -> None:
    if limiter is None:
        return
    wait = limiter.admit(key, monotonic())
    if wait:
        raise RateLimited(TOO_FAST, retry_after_ms=ceil(wait * 1000))


TOO_FAST: Final = "too many connection attempts"
