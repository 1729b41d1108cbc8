"""A key, and the checks that it is fit for its algorithm. All of them run at start-up."""

import base64
import hmac
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import InvalidVersion, load_der_x509_certificate
from jose import jwk
from jose.exceptions import JOSEError

from socketio_app.adapters.jwt.strict_json import NotStrictError, json_object

MIN_SECRET_BYTES = 32
"""256 bits, which HS256 requires (RFC 7518, section 3.2).

The longer hashes need no more: 256 bits cannot be guessed, whatever hash is used.
"""

MIN_RSA_BITS = 2048
"""RFC 7518, section 3.3."""

SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")
RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
EC_CURVES: Mapping[str, str] = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
"""The curve of each algorithm (RFC 7518, section 3.4)."""


class KeyConfigurationError(ValueError):
    """A key that cannot be used as configured. The message is one line without key material."""


@attrs.frozen
class VerificationKey:
    """A key, bound to one algorithm (RFC 8725, section 3.1)."""

    algorithm: str
    key_id: str | None
    """Its `kid` in a JSON Web Key Set, if it has one."""
    has_signed: Callable[[bytes, bytes], bool] = attrs.field(repr=False)
    """Whether some bytes have a signature that was made with this key."""


def secret_key(secret: bytes, algorithm: str, key_id: str | None = None) -> VerificationKey:
    """Return a key for an HMAC algorithm.

    Raises:
        KeyConfigurationError: the secret is too short, or is not a secret.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise KeyConfigurationError(
            f"it has {len(secret)} bytes, at least {MIN_SECRET_BYTES} are required"
        )
    # If a public key were used as a secret, anyone who knows it could sign tokens (RFC 8725,
    # section 2.1). python-jose rejects PEM and SSH keys, but no other format.
    try:
        key = jwk.construct(secret, algorithm)
    except JOSEError:
        key = None
    if key is None or _is_published(secret):
        raise KeyConfigurationError("it is a public key, a certificate or the like, not a secret")
    digest = f"sha{algorithm.removeprefix('HS')}"
    return VerificationKey(algorithm, key_id, partial(_is_hmac, secret, digest))


def _is_hmac(secret: bytes, digest: str, signed: bytes, signature: bytes) -> bool:
    """Whether a signature is an HMAC (RFC 2104), compared in constant time.

    python-jose takes ten times as long, which matters when all clients reconnect at once.
    """
    return hmac.compare_digest(hmac.digest(secret, signed, digest), signature)


def public_key(
    source: bytes | dict[str, Any], algorithm: str, key_id: str | None = None
) -> VerificationKey:
    """Return the public half of a key in PEM or JSON Web Key format.

    Raises:
        KeyConfigurationError: the key cannot be loaded, or does not match the algorithm.
    """
    try:
        key = jwk.construct(source, algorithm).public_key()
    except Exception:  # noqa: BLE001  (python-jose raises anything, with the key in the message)
        raise KeyConfigurationError(f"it cannot be loaded as a key for {algorithm}") from None
    _check_strength(getattr(key, "prepared_key", None), algorithm)
    return VerificationKey(algorithm, key_id, key.verify)


def _check_strength(key: object, algorithm: str) -> None:
    match key:
        case RSAPublicKey() if algorithm in RSA_ALGORITHMS:
            if key.key_size < MIN_RSA_BITS:
                raise KeyConfigurationError(
                    f"it has {key.key_size} bits, at least {MIN_RSA_BITS} are required"
                )
        case EllipticCurvePublicKey() if algorithm in EC_CURVES:
            if key.curve.name != EC_CURVES[algorithm]:
                raise KeyConfigurationError(
                    f"its curve is {key.curve.name}, {algorithm} requires {EC_CURVES[algorithm]}"
                )
        case _:
            raise KeyConfigurationError(f"it is not a key for {algorithm}")


def _is_published(secret: bytes) -> bool:
    """Whether the secret is in a format that is published: PEM, DER or a JSON Web Key."""
    return b"-----BEGIN " in secret or _is_der(secret) or _is_base64_der(secret) or _is_jwk(secret)


def _is_der(octets: bytes) -> bool:
    return _can_load(load_der_public_key, octets) or _can_load(load_der_x509_certificate, octets)


def _is_base64_der(text: bytes) -> bool:
    """Whether it is PEM without header and footer, as Keycloak shows a realm's public key."""
    try:
        return _is_der(base64.b64decode(b"".join(text.split()), validate=True))
    except ValueError:
        return False


def _is_jwk(text: bytes) -> bool:
    try:
        return not json_object(text).keys().isdisjoint({"kty", "keys"})
    except NotStrictError:
        return False


def _can_load(load: Callable[[bytes], object], octets: bytes) -> bool:
    try:
        load(octets)
    except (UnsupportedAlgorithm, InvalidVersion):
        return True  # a key or a certificate, of a type that is not supported here
    except ValueError:
        return False
    return True
