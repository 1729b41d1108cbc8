"""How often clients may connect to the chat's namespace."""

from math import ceil
from time import monotonic
from typing import Final

import attrs

from socketio_app.domain.errors import RateLimited
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.rates import Rate, RateLimiter


@attrs.frozen
class ConnectRates:
    """The rates of CONNECT packets; `None`: any number."""

    per_connection: Rate | None = None
    per_address: Rate | None = None
    per_user: Rate | None = None


class ConnectLimit:
    """Refuses CONNECT packets that come too fast.

    Each costs the verification of a token, reads of the store, an entry in all rooms of the user
    and two lines of the log. So those of a connection or an address are counted before the token is
    verified, and those of a user after that.
    """

    def __init__(self, rates: ConnectRates) -> None:
        self._of_connections = _limiter(rates.per_connection)
        self._of_addresses = _limiter(rates.per_address)
        self._of_users = _limiter(rates.per_user)

    def check(self, eio_sid: str, address: str | None, *, is_first: bool) -> None:
        """Count a CONNECT packet over a connection.

        Args:
            eio_sid: the connection.
            address: the client's address or network; `None` if the server does not know.
            is_first: whether it is the connection's first. The limit of handshakes has counted that
                one for its address. Official clients do not try again after a refused CONNECT, so
                those of an office that reconnects at once must not be refused here.

        Raises:
            RateLimited: the connection or the address sends too many of them.
        """
        _take(self._of_connections, eio_sid)
        if address is not None and not is_first:
            _take(self._of_addresses, address)

    def check_user(self, user_id: UserId) -> None:
        """Count a CONNECT packet whose token is the user's.

        Raises:
            RateLimited: the user sends too many of them.
        """
        _take(self._of_users, user_id)


def _limiter(rate: Rate | None) -> RateLimiter | None:
    return None if rate is None else RateLimiter(rate)


def _take(limiter: RateLimiter | None, key: str) -> None:
    if limiter is None:
        return
    wait = limiter.admit(key, monotonic())
    if wait:
        raise RateLimited(TOO_FAST, retry_after_ms=ceil(wait * 1000))


TOO_FAST: Final = "too many connects"
