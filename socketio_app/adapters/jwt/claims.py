"""What the claims of a token must be (RFC 7519, section 4.1), once its signature is good."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from socketio_app.application.commands import Actor
from socketio_app.application.ports import Identity
from socketio_app.domain.errors import InvalidPayload, TokenExpired, Unauthenticated
from socketio_app.domain.identifiers import UserId

INVALID = "the token is not valid"
"""All that a client is told, whatever was wrong."""

EXPIRED = "the token has expired"


def user_id(subject: object) -> UserId:
    """A subject as a user's id.

    Raises:
        Unauthenticated: it is none.
    """
    if not isinstance(subject, str):
        raise Unauthenticated(INVALID)
    try:
        return Actor(UserId(subject)).user_id
    except InvalidPayload:
        raise Unauthenticated(INVALID) from None


def seconds(value: object) -> float:
    """A NumericDate: seconds since 1970 (RFC 7519, section 2).

    Raises:
        Unauthenticated: it is none, or no finite one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated(INVALID)
    try:
        found = float(value)
    except OverflowError:
        raise Unauthenticated(INVALID) from None
    if not math.isfinite(found):
        raise Unauthenticated(INVALID)
    return found


@attrs.frozen
class ClaimsPolicy:
    """What is asked of claims."""

    issuer: str | None = None
    audience: frozenset[str] | None = None
    leeway: timedelta = timedelta(0)
    """How far the issuer's clock may differ from ours."""
    max_lifetime: timedelta | None = timedelta(days=366)
    """How far ahead a token may end. Without a bound, one that leaks is good for ever."""

    def identity(self, claims: Mapping[str, Any], now: datetime) -> Identity:
        """The identity that good claims prove.

        Raises:
            TokenExpired: they were good once.
            Unauthenticated: they prove nothing.
        """
        at, leeway = now.timestamp(), self.leeway.total_seconds()
        if not (self._is_from_issuer(claims) and self._is_for_us(claims)):
            raise Unauthenticated(INVALID)
        for not_before in ("nbf", "iat"):
            if not_before in claims and seconds(claims[not_before]) > at + leeway:
                raise Unauthenticated(INVALID)
        subject, expires = user_id(claims.get("sub")), seconds(claims.get("exp"))
        if expires + leeway <= at:
            raise TokenExpired(EXPIRED)
        if self._ends_too_late(expires - at):
            raise Unauthenticated(INVALID)
        return Identity(subject, _moment(expires))

    def _ends_too_late(self, lifetime_seconds: float) -> bool:
        if self.max_lifetime is None:
            return False
        return lifetime_seconds > (self.max_lifetime + self.leeway).total_seconds()

    def _is_from_issuer(self, claims: Mapping[str, Any]) -> bool:
        return self.issuer is None or claims.get("iss") == self.issuer

    def _is_for_us(self, claims: Mapping[str, Any]) -> bool:
        """A token with an audience is for nobody who is not in it (section 4.1.3)."""
        if self.audience is None:
            return "aud" not in claims
        match claims.get("aud"):
            case str(one):
                return one in self.audience
            case [*several] if all(isinstance(each, str) for each in several):
                return not self.audience.isdisjoint(several)
            case _:
                return False


_LATEST = datetime.max.replace(tzinfo=UTC, microsecond=999_000)


def _moment(seconds_since_1970: float) -> datetime:
    """A moment in whole milliseconds; where a date has no such year, the last that it has."""
    if seconds_since_1970 >= _LATEST.timestamp():
        return _LATEST
    return datetime.fromtimestamp(int(seconds_since_1970 * 1000) / 1000, UTC)
