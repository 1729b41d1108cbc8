"""Validation of a token's claims (RFC 7519, section 4.1), after its signature was verified."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs

from socketio_app.application.commands import Actor
from socketio_app.application.ports import Identity
from socketio_app.domain.errors import InvalidPayload, TokenExpired, Unauthenticated
from socketio_app.domain.identifiers import UserId

INVALID = "the token is not valid"
"""The only reason that clients get, whatever is wrong with the token."""

EXPIRED = "the token has expired"


def user_id(subject: object) -> UserId:
    """Return the user id in a subject: a string, an integer or a UUID.

    RFC 7519 requires a string (section 4.1.2), but many applications put their integer or UUID
    primary key into `sub`; both are converted with `str()`.

    Raises:
        Unauthenticated: the subject is not a valid user id.
    """
    is_key = isinstance(subject, str | int | UUID) and not isinstance(subject, bool)
    if not is_key:
        raise rejected(f"the user's id is missing or of type {type(subject).__name__}")
    try:
        return Actor(UserId(str(subject))).user_id
    except InvalidPayload as error:
        raise rejected(error.message) from None
    except ValueError:  # an integer of more digits than Python writes
        raise rejected("the user's id is an integer that is too long") from None


def rejected(reason: str) -> Unauthenticated:
    """Return the error for a rejected token; only operators see `reason`."""
    return Unauthenticated(INVALID, reason)


def seconds(value: object, name: str = "exp") -> float:
    """Return a NumericDate, in seconds since 1970 (RFC 7519, section 2).

    Args:
        value: value of the claim.
        name: name of the claim, for the log.

    Raises:
        Unauthenticated: the value is not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise rejected(f"{name} is missing or not a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise rejected(f"{name} is not a finite number")
    return found


_EARLIEST = datetime.fromtimestamp(0, UTC)
_LATEST = datetime.max.replace(tzinfo=UTC, microsecond=999_000)


def moment(since_1970: float) -> datetime:
    """Convert a NumericDate to a UTC `datetime`, truncated to milliseconds.

    Values before 1970 or after the year 9999 are clamped.
    """
    if since_1970 <= _EARLIEST.timestamp():
        return _EARLIEST
    if since_1970 >= _LATEST.timestamp():
        return _LATEST
    found = datetime.fromtimestamp(since_1970, UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


@attrs.frozen
class ClaimsPolicy:
    """The claims that a token must have."""

    issuers: frozenset[str] | None = None
    """Accepted values of `iss`; `None` accepts any."""
    audience: frozenset[str] | None = None
    """Accepted values of `aud`; `None` rejects tokens that have an `aud`."""
    leeway: timedelta = timedelta(0)
    """Allowed difference between the issuer's clock and the server's."""
    max_lifetime: timedelta | None = timedelta(days=366)
    """Maximum time until `exp`. Without it, a leaked token could be valid for ever."""
    user_claim: str = "sub"
    """Name of the claim that holds the user id."""

    def identity(self, claims: Mapping[str, object], now: datetime) -> Identity:
        """Validate claims and return the identity in them.

        Raises:
            TokenExpired: `exp` has passed.
            Unauthenticated: any other claim is missing or invalid.
        """
        at = now.timestamp()
        self._check_issuer(claims)
        self._check_audience(claims)
        self._check_not_in_future(at, claims)
        subject, end = self._user_id(claims), seconds(claims.get("exp"))
        good_until = end + self.leeway.total_seconds()
        if at >= good_until:
            raise TokenExpired(EXPIRED, f"exp was {at - end:.0f} s ago")
        if self.max_lifetime is not None and end - at > self.max_lifetime.total_seconds():
            raise rejected("exp is further ahead than JWT_MAX_LIFETIME_DAYS allows")
        return Identity(subject, moment(good_until))

    def _user_id(self, claims: Mapping[str, object]) -> UserId:
        if self.user_claim not in claims:
            raise rejected(f"the claim {self.user_claim} is missing (JWT_USER_CLAIM)")
        return user_id(claims[self.user_claim])

    def _check_issuer(self, claims: Mapping[str, object]) -> None:
        if self.issuers is None:
            return
        issuer = claims.get("iss")
        if not isinstance(issuer, str) or issuer not in self.issuers:
            raise rejected("iss is missing or not in JWT_ISSUER")

    def _check_audience(self, claims: Mapping[str, object]) -> None:
        """Reject a token that is meant for another audience (section 4.1.3)."""
        if self.audience is None:
            if "aud" in claims:
                raise rejected("the token has an aud, but JWT_AUDIENCE is not set")
            return
        match claims.get("aud"):
            case str(one):
                audience = {one}
            case [*several] if all(isinstance(each, str) for each in several):
                audience = {str(each) for each in several}
            case _:
                audience = set()
        if self.audience.isdisjoint(audience):
            raise rejected("aud is missing or not in JWT_AUDIENCE")

    def _check_not_in_future(self, at: float, claims: Mapping[str, object]) -> None:
        """Reject a token that is not valid yet (section 4.1.5) or issued in the future (4.1.6)."""
        latest = at + self.leeway.total_seconds()
        for name in ("nbf", "iat"):
            if name in claims and (begin := seconds(claims[name], name)) > latest:
                raise rejected(
                    f"{name} is {begin - at:.3g} s in the future; JWT_LEEWAY_SECONDS allows for "
                    "clock skew"
                )
