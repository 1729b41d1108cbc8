"""The keys that tokens are verified with, each for one algorithm and no other.

The algorithm comes from the configuration. A token's own word for it only picks among the keys
(RFC 8725, section 3.1).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jose import jwk
from jose.backends.base import Key
from jose.exceptions import JOSEError

from socketio_app.adapters.jwt.strict_json import NotStrictError, strict_object

SHORTEST_SECRET_BYTES = 32
"""As long as the hash that HS256 signs with (RFC 7518, section 3.2)."""

SMALLEST_RSA_BITS = 2048
"""RFC 7518, section 3.3."""

SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")
RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
EC_CURVES: Mapping[str, str] = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
"""Each algorithm's one curve (RFC 7518, section 3.4)."""

_EC_ALGORITHM_OF_JWK_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


class KeyConfigurationError(ValueError):
    """A key that cannot be used as configured. The message is one line without key material."""


@attrs.frozen
class VerificationKey:
    """A key, and the one algorithm that it is for."""

    algorithm: str
    key_id: str | None
    key: Key = attrs.field(repr=False)


@attrs.frozen
class KeySet:
    """The keys that may verify tokens."""

    _keys: tuple[VerificationKey, ...]

    @classmethod
    def from_secret(cls, secret: str, algorithms: Sequence[str]) -> Self:
        """A secret that the tokens' issuer shares.

        Raises:
            KeyConfigurationError: it is too short, it is a public key, or the algorithm is not one
                for secrets.
        """
        algorithm = _only(algorithms, SECRET_ALGORITHMS, "a secret")
        return cls((_secret_key(secret.encode(), algorithm, key_id=None),))

    @classmethod
    def from_pem(cls, pem: bytes, algorithms: Sequence[str]) -> Self:
        """A public key, a certificate, or a private key, whose public half is what counts here.

        Raises:
            KeyConfigurationError: it cannot be read, or is not fit for the algorithm.
        """
        algorithm = _only(algorithms, (*RSA_ALGORITHMS, *EC_CURVES), "a PEM file")
        try:
            key = jwk.construct(pem.decode(), algorithm)
        except (JOSEError, ValueError, TypeError, AttributeError):
            raise KeyConfigurationError(f"it is no PEM key for {algorithm}") from None
        return cls((_asymmetric_key(key, algorithm, key_id=None),))

    @classmethod
    def from_jwks(cls, document: bytes, algorithms: Sequence[str]) -> Self:
        """A JSON Web Key Set (RFC 7517, section 5); keys that are not for us are passed over.

        Raises:
            KeyConfigurationError: it is malformed, ambiguous, or has no key for the algorithms.
        """
        known = (*SECRET_ALGORITHMS, *RSA_ALGORITHMS, *EC_CURVES)
        for algorithm in algorithms:
            if algorithm not in known:
                raise KeyConfigurationError(f"{algorithm} is not one of {', '.join(known)}")
        keys = [key for entry in _entries(document) if (key := _from_jwk(entry, algorithms))]
        if not keys:
            raise KeyConfigurationError(f"it has no key for {', '.join(algorithms)}")
        ids = [key.key_id for key in keys if key.key_id is not None]
        if len(ids) != len(set(ids)):
            raise KeyConfigurationError("two of its keys have the same kid")
        return cls(tuple(keys))

    def find(self, algorithm: object, key_id: object) -> VerificationKey | None:
        """The key for a token that names an algorithm, and perhaps a key.

        A set of one nameless key, a secret or a PEM file, has nothing to match a `kid` with.
        """
        fit = [key for key in self._keys if key.algorithm == algorithm]
        if key_id is not None and any(key.key_id is not None for key in self._keys):
            fit = [key for key in fit if key.key_id == key_id]
        return fit[0] if len(fit) == 1 else None


def _only(algorithms: Sequence[str], allowed: Sequence[str], source: str) -> str:
    match algorithms:
        case [str(algorithm)] if algorithm in allowed:
            return algorithm
        case _:
            raise KeyConfigurationError(
                f"ALGORITHM must be one of {', '.join(allowed)} with {source}, "
                f"not {', '.join(algorithms) or 'nothing'}"
            )


def _secret_key(secret: bytes, algorithm: str, key_id: str | None) -> VerificationKey:
    if len(secret) < SHORTEST_SECRET_BYTES:
        raise KeyConfigurationError(
            f"it has {len(secret)} bytes, at least {SHORTEST_SECRET_BYTES} are needed"
        )
    try:
        key = jwk.construct(secret, algorithm)
    except JOSEError:
        # What python-jose refuses here is PEM and SSH keys: whoever knows the public key could
        # sign with it (CVE-2016-10555 and its like).
        raise KeyConfigurationError("it is a public key, which is no secret") from None
    return VerificationKey(algorithm, key_id, key)


def _asymmetric_key(key: Key, algorithm: str, key_id: str | None) -> VerificationKey:
    public = key.public_key()
    material = getattr(public, "prepared_key", None)
    match material:
        case RSAPublicKey() if algorithm in RSA_ALGORITHMS:
            if material.key_size < SMALLEST_RSA_BITS:
                raise KeyConfigurationError(
                    f"it has {material.key_size} bits, at least {SMALLEST_RSA_BITS} are needed"
                )
        case EllipticCurvePublicKey() if algorithm in EC_CURVES:
            if material.curve.name != EC_CURVES[algorithm]:
                raise KeyConfigurationError(
                    f"its curve is {material.curve.name}, {algorithm} needs {EC_CURVES[algorithm]}"
                )
        case _:
            raise KeyConfigurationError(f"it is no key for {algorithm}")
    return VerificationKey(algorithm, key_id, public)


def _entries(document: bytes) -> Sequence[object]:
    try:
        entries = strict_object(document).get("keys")
    except NotStrictError:
        entries = None
    if not isinstance(entries, list):
        raise KeyConfigurationError("it is no JSON Web Key Set")
    return entries


def _from_jwk(entry: object, algorithms: Sequence[str]) -> VerificationKey | None:
    """The key of one entry; None when it is not for verifying, or not for these algorithms."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if "verify" not in entry.get("key_ops", ["verify"]):
        return None
    algorithm = _algorithm_of(entry, algorithms)
    if algorithm is None:
        return None
    key_id = entry.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise KeyConfigurationError("a kid in it is no string")
    try:
        key = jwk.construct({**entry, "alg": algorithm}, algorithm)
    except (JOSEError, ValueError, TypeError, KeyError, AttributeError):
        raise KeyConfigurationError(f"its key {key_id!r} is malformed") from None
    if algorithm in SECRET_ALGORITHMS:
        return _secret_key(_octets(key), algorithm, key_id)
    return _asymmetric_key(key, algorithm, key_id)


def _octets(key: Key) -> bytes:
    secret: bytes = key.prepared_key  # type: ignore[attr-defined]  # its backends all have it
    return secret


def _algorithm_of(entry: Mapping[str, Any], algorithms: Sequence[str]) -> str | None:
    """What a key is for: what it says itself, else what its type leaves of the configured ones.

    Raises:
        KeyConfigurationError: its type leaves several.
    """
    match entry.get("kty"):
        case "RSA":
            possible: tuple[str, ...] = RSA_ALGORITHMS
        case "EC":
            possible = tuple(filter(None, [_EC_ALGORITHM_OF_JWK_CURVE.get(str(entry.get("crv")))]))
        case "oct":
            possible = SECRET_ALGORITHMS
        case _:
            return None
    stated = entry.get("alg")
    fit = [a for a in algorithms if a in possible and stated in {None, a}]
    if len(fit) > 1:
        raise KeyConfigurationError(
            f"its key {entry.get('kid')!r} has no alg and could be for {' or '.join(fit)}"
        )
    return fit[0] if fit else None
