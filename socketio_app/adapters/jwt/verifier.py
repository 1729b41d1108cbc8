"""Verification of JSON Web Tokens in compact serialization (RFC 7515, section 3.1)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Self

import attrs

from socketio_app.adapters.claims import ClaimsPolicy, rejected
from socketio_app.adapters.jwt import strict_json
from socketio_app.adapters.jwt.keys import KeySource
from socketio_app.application.ports import Clock, Identity

MAX_TOKEN_CHARS = 8192
"""Several times the size of real tokens; bounds the cost of parsing an untrusted one."""


class JwtVerifier:
    """Verifies tokens with configured keys and claims. Implements `TokenVerifier`.

    The order is fixed: format, key, signature, and only then the claims. Without the key, a client
    therefore only learns that its token is not valid.
    """

    def __init__(
        self,
        keys: KeySource,
        clock: Clock,
        *,
        issuer: str | Sequence[str] | None = None,
        audience: str | Sequence[str] | None = None,
        leeway: timedelta = timedelta(0),
        max_lifetime: timedelta | None = timedelta(days=366),
        user_claim: str = "sub",
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._policy = ClaimsPolicy(
            _accepted(issuer), _accepted(audience), leeway, max_lifetime, user_claim
        )

    async def verify(self, token: str) -> Identity:
        """See `TokenVerifier.verify`."""
        try:
            claims = await self._signed_claims(_Signed.parse(token))
        except strict_json.NotStrictError:
            raise rejected("the token is not a well-formed JSON Web Token") from None
        return self._policy.identity(claims, self._clock.wall_time())

    async def _signed_claims(self, token: "_Signed") -> Mapping[str, object]:
        if not token.header.keys().isdisjoint({"crit", "b64"}):
            # A verifier must understand every critical parameter (RFC 7515, section 4.1.11); this
            # one understands none, not even an unencoded payload (RFC 7797, section 6).
            raise rejected("the header has crit or b64, which are not supported")
        key = await self._keys.key_for(token.header)
        if key is None:
            raise rejected("the header's alg and kid match no configured key (ALGORITHM)")
        if not key.has_signed(token.signed, token.signature):
            raise rejected("the signature does not match the configured key")
        return strict_json.json_object(token.payload)


@attrs.frozen
class _Signed:
    """A decoded token, not verified yet."""

    header: Mapping[str, object]
    payload: bytes
    signature: bytes
    signed: bytes
    """The signing input."""

    @classmethod
    def parse(cls, token: object) -> Self:
        """Decode a token.

        Raises:
            NotStrictError: the token is malformed or too long.
        """
        if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARS:
            raise strict_json.NotStrictError
        match token.split("."):
            case [header, payload, signature]:
                return cls(
                    _header(header),
                    strict_json.octets(payload),
                    strict_json.octets(signature),
                    f"{header}.{payload}".encode(),
                )
            case _:
                raise strict_json.NotStrictError


@lru_cache(maxsize=64)
def _header(encoded: str) -> Mapping[str, object]:
    """Decode a header. All tokens of an issuer have the same few."""
    return strict_json.json_object(strict_json.octets(encoded))


def _accepted(given: str | Sequence[str] | None) -> frozenset[str] | None:
    if given is None:
        return None
    return frozenset({given} if isinstance(given, str) else given)
