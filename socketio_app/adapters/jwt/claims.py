"""What the claims of a token must be (RFC 7519, section 4.1), once its signature is good."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

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


_EARLIEST = datetime.fromtimestamp(0, UTC)
_LATEST = datetime.max.replace(tzinfo=UTC, microsecond=999_000)


def moment(since_1970: float) -> datetime:
    """A NumericDate as a date, in whole milliseconds.

    One that no date can express becomes the nearest: the end of a token that is long past, or of
    one that nobody lives to see.
    """
    if since_1970 <= _EARLIEST.timestamp():
        return _EARLIEST
    if since_1970 >= _LATEST.timestamp():
        return _LATEST
    found = datetime.fromtimestamp(since_1970, UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


@attrs.frozen
class ClaimsPolicy:
    """What is asked of claims."""

    issuer: str | None = None
    """The one `iss`; `None` for any."""
    audience: frozenset[str] | None = None
    """What `aud` must name one of; `None` where a token must have none."""
    leeway: timedelta = timedelta(0)
    """How far the issuer's clock may differ from ours."""
    max_lifetime: timedelta | None = timedelta(days=366)
    """How far ahead a token may end. Without a bound, one that leaks is good for ever."""

    def identity(self, claims: Mapping[str, object], now: datetime) -> Identity:
        """The identity that good claims prove.

        Raises:
            TokenExpired: they were good once.
            Unauthenticated: they prove nothing.
        """
        at = now.timestamp()
        if not (self._is_from_issuer(claims) and self._is_for_us(claims)):
            raise Unauthenticated(INVALID)
        if self._begins_after(at, claims):
            raise Unauthenticated(INVALID)
        subject, end = user_id(claims.get("sub")), seconds(claims.get("exp"))
        good_until = end + self.leeway.total_seconds()
        if at >= good_until:
            raise TokenExpired(EXPIRED)
        if self.max_lifetime is not None and end - at > self.max_lifetime.total_seconds():
            raise Unauthenticated(INVALID)
        return Identity(subject, moment(good_until))

    def _is_from_issuer(self, claims: Mapping[str, object]) -> bool:
        return self.issuer is None or claims.get("iss") == self.issuer

    def _is_for_us(self, claims: Mapping[str, object]) -> bool:
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

    def _begins_after(self, at: float, claims: Mapping[str, object]) -> bool:
        """Whether it is not good yet (section 4.1.5), or was made in the future (section 4.1.6)."""
        latest = at + self.leeway.total_seconds()
        return any(seconds(claims[name]) > latest for name in ("nbf", "iat") if name in claims)
