"""Reads a JSON Web Key Set (RFC 7517)."""

from collections.abc import Mapping, Sequence
from typing import Any

from socketio_app.adapters.jwt import strict_json
from socketio_app.adapters.jwt.verification_key import (
    EC_CURVES,
    RSA_ALGORITHMS,
    SECRET_ALGORITHMS,
    KeyConfigurationError,
    VerificationKey,
    public_key,
    secret_key,
)

ALGORITHMS = (*SECRET_ALGORITHMS, *RSA_ALGORITHMS, *EC_CURVES)

_EC_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
"""What a curve is for, by its name here (RFC 7518, section 6.2.1.1)."""


def keys_in(document: bytes, algorithms: Sequence[str]) -> tuple[VerificationKey, ...]:
    """The keys that verify by one of the algorithms. Others are passed over.

    Raises:
        KeyConfigurationError: it is no key set, or has no such key, or one that is not fit for use,
            or two with the same `kid`.
    """
    if not algorithms or any(algorithm not in ALGORITHMS for algorithm in algorithms):
        raise KeyConfigurationError(f"ALGORITHM must be one or more of {', '.join(ALGORITHMS)}")
    # One that is configured twice must not look like a choice of two.
    distinct = tuple(dict.fromkeys(algorithms))
    keys = tuple(key for entry in _entries(document) if (key := _key_of(entry, distinct)))
    if not keys:
        raise KeyConfigurationError(f"it has no key that verifies {' or '.join(distinct)}")
    key_ids = [key.key_id for key in keys if key.key_id is not None]
    if len(key_ids) != len(set(key_ids)):
        # Section 4.5 has them distinct. One of the two would never be used.
        raise KeyConfigurationError("two of its keys have the same kid")
    return keys


def _entries(document: bytes) -> Sequence[Any]:
    try:
        entries = strict_json.json_object(document).get("keys")
    except strict_json.NotStrictError:
        entries = None
    if not isinstance(entries, list):
        raise KeyConfigurationError("it is no JSON Web Key Set")
    return entries


def _key_of(entry: object, algorithms: Sequence[str]) -> VerificationKey | None:
    if not isinstance(entry, dict) or not _may_verify(entry):
        return None
    key_id = entry.get("kid")
    if not isinstance(key_id, str | None):
        raise KeyConfigurationError("it has a key with a kid that is no string")
    try:
        algorithm = _algorithm_of(entry, algorithms)
        return None if algorithm is None else _read(entry, algorithm, key_id)
    except KeyConfigurationError as error:
        name = "a key without a kid" if key_id is None else f"the key {key_id!r}"
        raise KeyConfigurationError(f"{name} in it: {error}") from None


def _may_verify(entry: Mapping[str, Any]) -> bool:
    """Whether its owner means it for verifying (sections 4.2 and 4.3)."""
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )


def _algorithm_of(entry: Mapping[str, Any], algorithms: Sequence[str]) -> str | None:
    """What the key is for: what it says itself, else what its type leaves of the configured ones.

    Raises:
        KeyConfigurationError: its type leaves several.
    """
    match entry:
        case {"kty": "RSA"}:
            possible: Sequence[str] = RSA_ALGORITHMS
        case {"kty": "EC", "crv": str(curve)} if curve in _EC_ALGORITHMS:
            possible = (_EC_ALGORITHMS[curve],)
        case {"kty": "oct"}:
            possible = SECRET_ALGORITHMS
        case _:
            return None
    fit = [each for each in algorithms if each in possible and entry.get("alg", each) == each]
    if len(fit) > 1:
        raise KeyConfigurationError(f"it has no alg, and could be for {' or '.join(fit)}")
    return fit[0] if fit else None


def _read(entry: dict[str, Any], algorithm: str, key_id: str | None) -> VerificationKey:
    if algorithm not in SECRET_ALGORITHMS:
        return public_key(entry, algorithm, key_id)
    secret = entry.get("k")
    try:
        return secret_key(
            strict_json.octets(secret if isinstance(secret, str) else ""), algorithm, key_id
        )
    except strict_json.NotStrictError:
        raise KeyConfigurationError(f"it cannot be read as a key for {algorithm}") from None
