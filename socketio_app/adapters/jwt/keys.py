"""The keys that verify tokens.

The algorithms come from the configuration. A token's `alg` only selects among the keys
(RFC 8725, section 3.1).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import attrs

from socketio_app.adapters.jwt.jwks import keys_in, usable_keys_in
from socketio_app.adapters.jwt.verification_key import (
    EC_CURVES,
    RSA_ALGORITHMS,
    SECRET_ALGORITHMS,
    KeyConfigurationError,
    VerificationKey,
    public_key,
    secret_key,
)


class KeySource(Protocol):
    """Finds the key that verifies a token."""

    async def key_for(self, header: Mapping[str, object]) -> VerificationKey | None:
        """Return the only key that matches a token's header, or `None`.

        Raises:
            Unavailable: the keys cannot be fetched now.
        """
        ...


@attrs.frozen
class KeySet:
    """The keys that may verify tokens, each with one algorithm. Implements `KeySource`."""

    _keys: tuple[VerificationKey, ...]
    _by_key_id: bool
    """Whether a token's `kid` must match; a secret or a PEM file has no `kid`."""

    @classmethod
    def from_secret(cls, secret: str, algorithms: Sequence[str]) -> Self:
        """Return a key set of one secret, which is shared with the issuer of the tokens.

        Raises:
            KeyConfigurationError: the secret is too short or is a public key, or `algorithms` is
                not exactly one HMAC algorithm.
        """
        algorithm = _only(algorithms, SECRET_ALGORITHMS, "a secret")
        try:
            encoded = secret.encode()
        except UnicodeEncodeError:
            raise KeyConfigurationError("it is not valid Unicode") from None
        return cls((secret_key(encoded, algorithm),), by_key_id=False)

    @classmethod
    def from_pem(cls, pem: bytes, algorithms: Sequence[str]) -> Self:
        """Return a key set of one PEM file.

        The file has a public key, the certificate of an RSA key, or a private key, of which only
        the public half is used.

        Raises:
            KeyConfigurationError: the file cannot be loaded, or does not match the algorithm.
        """
        algorithm = _only(algorithms, (*RSA_ALGORITHMS, *EC_CURVES), "a PEM file")
        return cls((public_key(pem.strip(), algorithm),), by_key_id=False)

    @classmethod
    def from_jwks(cls, document: bytes, algorithms: Sequence[str]) -> Self:
        """Return the keys of a JSON Web Key Set that can verify with one of the algorithms.

        Raises:
            KeyConfigurationError: the document is not a key set, is ambiguous, or has no usable key
                or an invalid one.
        """
        return cls(keys_in(document, algorithms), by_key_id=True)

    @classmethod
    def from_published_jwks(cls, document: bytes, algorithms: Sequence[str]) -> Self:
        """Return the same for a key set that an issuer publishes, without keys that are unusable.

        Raises:
            KeyConfigurationError: the document is not a key set, or has too many or no usable keys.
        """
        return cls(usable_keys_in(document, algorithms), by_key_id=True)

    async def key_for(self, header: Mapping[str, object]) -> VerificationKey | None:
        """See `KeySource.key_for`."""
        return self.find(header)

    def find(self, header: Mapping[str, object]) -> VerificationKey | None:
        """Return the only key that matches a token's header (RFC 7515, section 4.1), or `None`."""
        matching = [key for key in self._keys if key.algorithm == header.get("alg")]
        if self._by_key_id and "kid" in header:
            matching = [
                key for key in matching if key.key_id is not None and key.key_id == header["kid"]
            ]
        return matching[0] if len(matching) == 1 else None


def _only(algorithms: Sequence[str], allowed: Sequence[str], source: str) -> str:
    match algorithms:
        case [str(algorithm)] if algorithm in allowed:
            return algorithm
        case _:
            raise KeyConfigurationError(
                f"ALGORITHM must be one of {', '.join(allowed)} with {source}"
            )
