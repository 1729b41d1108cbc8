"""Parsing of a JSON Web Key Set (RFC 7517)."""

import contextlib
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

MAX_PUBLISHED_KEYS = 100
"""Maximum number of keys in a published key set. Large issuers have about ten."""

_EC_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
"""The algorithm of each curve, by its name in a JSON Web Key (RFC 7518, section 6.2.1.1)."""


def keys_in(document: bytes, algorithms: Sequence[str]) -> tuple[VerificationKey, ...]:
    """Return the keys that can verify with one of the algorithms; others are ignored.

    Raises:
        KeyConfigurationError: the document is not a key set, has no usable key or an invalid one,
            or has two keys with the same `kid`.
    """
    if not algorithms or any(algorithm not in ALGORITHMS for algorithm in algorithms):
        raise KeyConfigurationError(f"ALGORITHM must be one or more of {', '.join(ALGORITHMS)}")
    # An algorithm that is listed twice must not make a key ambiguous.
    distinct = tuple(dict.fromkeys(algorithms))
    keys = tuple(key for entry in _entries(document) if (key := _key_of(entry, distinct)))
    if not keys:
        raise KeyConfigurationError(f"it has no key for {' or '.join(distinct)}")
    key_ids = [key.key_id for key in keys if key.key_id is not None]
    if len(key_ids) != len(set(key_ids)):
        # They must be distinct (section 4.5): one of the two would never be used.
        raise KeyConfigurationError("two of its keys have the same kid")
    return keys


def usable_keys_in(document: bytes, algorithms: Sequence[str]) -> tuple[VerificationKey, ...]:
    """Return the same for a document of the issuer's, whose unusable keys nobody here can correct.

    Raises:
        KeyConfigurationError: the document is not a key set, or has too many or no usable keys.
    """
    entries = _entries(document)
    if len(entries) > MAX_PUBLISHED_KEYS:
        raise KeyConfigurationError(f"it has more than {MAX_PUBLISHED_KEYS} keys")
    distinct = tuple(dict.fromkeys(algorithms))
    keys: list[VerificationKey] = []
    for entry in entries:
        with contextlib.suppress(KeyConfigurationError):
            key = _key_of(entry, distinct)
            if key is not None:
                keys.append(key)
    if not keys:
        raise KeyConfigurationError(f"it has no usable key for {' or '.join(distinct)}")
    return tuple(keys)


def _entries(document: bytes) -> Sequence[Any]:
    try:
        entries = strict_json.json_object(document).get("keys")
    except strict_json.NotStrictError:
        entries = None
    if not isinstance(entries, list):
        raise KeyConfigurationError("it is not a JSON Web Key Set")
    return entries


def _key_of(entry: object, algorithms: Sequence[str]) -> VerificationKey | None:
    if not isinstance(entry, dict) or not _may_verify(entry):
        return None
    key_id = entry.get("kid")
    if not isinstance(key_id, str | None):
        raise KeyConfigurationError("it has a key whose kid is not a string")
    try:
        algorithm = _algorithm_of(entry, algorithms)
        return None if algorithm is None else _read(entry, algorithm, key_id)
    except KeyConfigurationError as error:
        name = "a key without a kid" if key_id is None else f"key {key_id!r}"
        raise KeyConfigurationError(f"{name}: {error}") from None


def _may_verify(entry: Mapping[str, Any]) -> bool:
    """Whether the key is meant for verifying signatures (sections 4.2 and 4.3)."""
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )


def _algorithm_of(entry: Mapping[str, Any], algorithms: Sequence[str]) -> str | None:
    """Return the key's `alg`, or else the only configured algorithm for its type.

    Returns `None` if no configured algorithm matches the key.

    Raises:
        KeyConfigurationError: the key has no `alg`, and several configured algorithms match.
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
    matching = [each for each in algorithms if each in possible and entry.get("alg", each) == each]
    if len(matching) > 1:
        raise KeyConfigurationError(f"it has no alg, and could be for {' or '.join(matching)}")
    return matching[0] if matching else None


def _read(entry: dict[str, Any], algorithm: str, key_id: str | None) -> VerificationKey:
    if algorithm not in SECRET_ALGORITHMS:
        return public_key(entry, algorithm, key_id)
    secret = entry.get("k")
    try:
        return secret_key(
            strict_json.octets(secret if isinstance(secret, str) else ""), algorithm, key_id
        )
    except strict_json.NotStrictError:
        raise KeyConfigurationError(f"it cannot be loaded as a key for {algorithm}") from None
