"""What the claims of a token must be (RFC 7519, section 4.1), once its signature is good."""

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
"""All that a client is told, whatever was wrong."""

EXPIRED = "the token has expired"


def user_id(subject: object) -> UserId:
    """Return the user that a subject names: a string, an integer or a UUID.

    RFC 7519 wants a string (section 4.1.2), but many applications put their integer or UUID key
    into `sub`; it is read as its usual text.

    Raises:
        Unauthenticated: it names no user.
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
    """Return the error for a token that proves nothing, with the reason for the operator."""
    return Unauthenticated(INVALID, reason)


def seconds(value: object, name: str = "exp") -> float:
    """A NumericDate: seconds since 1970 (RFC 7519, section 2).

    Args:
        value: the claim's value.
        name: the claim's name, for the log.

    Raises:
        Unauthenticated: it is none, or no finite one.
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
    user_claim: str = "sub"
    """The claim that names the user."""

    def identity(self, claims: Mapping[str, object], now: datetime) -> Identity:
        """The identity that good claims prove.

        Raises:
            TokenExpired: they were good once.
            Unauthenticated: they prove nothing.
        """
        at = now.timestamp()
        self._check_issuer(claims)
        self._check_audience(claims)
        self._check_beginning(at, claims)
        subject, end = self._user_id(claims), seconds(claims.get("exp"))
        good_until = end + self.leeway.total_seconds()
        if at >= good_until:
            raise TokenExpired(EXPIRED, f"exp was {at - end:.0f} s ago")
        if self.max_lifetime is not None and end - at > self.max_lifetime.total_seconds():
            raise rejected("exp is further ahead than JWT_MAX_LIFETIME_DAYS")
        return Identity(subject, moment(good_until))

    def _user_id(self, claims: Mapping[str, object]) -> UserId:
        if self.user_claim not in claims:
            raise rejected(f"the claim {self.user_claim} is missing (JWT_USER_CLAIM)")
        return user_id(claims[self.user_claim])

    def _check_issuer(self, claims: Mapping[str, object]) -> None:
        if self.issuer is not None and claims.get("iss") != self.issuer:
            raise rejected("iss is missing or not JWT_ISSUER")

    def _check_audience(self, claims: Mapping[str, object]) -> None:
        """A token with an audience is for nobody who is not in it (section 4.1.3)."""
        if self.audience is None:
            if "aud" in claims:
                raise rejected("the token has an aud and JWT_AUDIENCE is not set")
            return
        match claims.get("aud"):
            case str(one):
                named = {one}
            case [*several] if all(isinstance(each, str) for each in several):
                named = {str(each) for each in several}
            case _:
                named = set()
        if self.audience.isdisjoint(named):
            raise rejected("aud is missing or not in JWT_AUDIENCE")

    def _check_beginning(self, at: float, claims: Mapping[str, object]) -> None:
        """Reject what is not good yet (section 4.1.5) or was made in the future (4.1.6)."""
        latest = at + self.leeway.total_seconds()
        for name in ("nbf", "iat"):
            if name in claims and (begin := seconds(claims[name], name)) > latest:
                raise rejected(
                    f"{name} is {begin - at:.3g} s in the future; JWT_LEEWAY_SECONDS allows for "
                    "clocks that differ"
                )
