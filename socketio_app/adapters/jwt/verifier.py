"""Verifies tokens that are JSON Web Tokens in compact form (RFC 7515, section 3.1)."""

import base64
import binascii
from collections.abc import Sequence
from datetime import timedelta

from socketio_app.adapters.jwt.claims import INVALID, ClaimsPolicy
from socketio_app.adapters.jwt.keys import KeySet
from socketio_app.adapters.jwt.strict_json import NotStrictError, strict_object
from socketio_app.application.ports import Clock, Identity
from socketio_app.domain.errors import Unauthenticated

LONGEST_TOKEN_CHARS = 8192
"""Longer than any header field that servers accept; parsing costs no more than this."""

_UNDERSTOOD_NOWHERE = ("crit", "b64")


class JwtVerifier:
    """Verifies tokens by keys and claims that were configured. Implements `TokenVerifier`."""

    def __init__(
        self,
        keys: KeySet,
        clock: Clock,
        *,
        issuer: str | None = None,
        audience: Sequence[str] | None = None,
        leeway: timedelta = timedelta(0),
        max_lifetime: timedelta | None = timedelta(days=366),
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._policy = ClaimsPolicy(
            issuer, None if audience is None else frozenset(audience), leeway, max_lifetime
        )

    async def verify(self, token: str) -> Identity:
        """See `TokenVerifier.verify`."""
        header, payload, signature, signed = _parts(token)
        if any(name in header for name in _UNDERSTOOD_NOWHERE):
            # RFC 7515, section 4.1.11: what is critical must be understood. We understand none.
            raise Unauthenticated(INVALID)
        found = self._keys.find(header.get("alg"), header.get("kid"))
        if found is None or not found.key.verify(signed, signature):
            raise Unauthenticated(INVALID)
        return self._policy.identity(_object(payload), self._clock.now())


def _parts(token: object) -> tuple[dict[str, object], bytes, bytes, bytes]:
    """The header, the payload, the signature, and what was signed."""
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN_CHARS or not token.isascii():
        raise Unauthenticated(INVALID)
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    if "." in payload:
        raise Unauthenticated(INVALID)
    return _object(_decoded(header)), _decoded(payload), _decoded(signature), signed.encode()


def _decoded(part: str) -> bytes:
    """Base64url without padding (RFC 7515, section 2), in its one canonical form."""
    try:
        decoded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Unauthenticated(INVALID) from None
    # Python ignores the last character's unused bits: one signature would have several spellings.
    if not part or base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
        raise Unauthenticated(INVALID)
    return decoded


def _object(encoded: bytes) -> dict[str, object]:
    try:
        return strict_object(encoded)
    except NotStrictError:
        raise Unauthenticated(INVALID) from None
