"""The keys that tokens are verified with.

The algorithms come from the configuration. A token's own word for one only picks among the keys
(RFC 8725, section 3.1).
"""

from collections.abc import Mapping, Sequence
from typing import Self

import attrs

from socketio_app.adapters.jwt.jwks import keys_in
from socketio_app.adapters.jwt.verification_key import (
    EC_CURVES,
    RSA_ALGORITHMS,
    SECRET_ALGORITHMS,
    KeyConfigurationError,
    VerificationKey,
    public_key,
    secret_key,
)


@attrs.frozen
class KeySet:
    """The keys that may verify tokens, each by one algorithm."""

    _keys: tuple[VerificationKey, ...]
    _by_key_id: bool
    """Whether a token's `kid` must be a key's. A secret or a PEM file has no name to compare."""

    @classmethod
    def from_secret(cls, secret: str, algorithms: Sequence[str]) -> Self:
        """A secret that is shared with the tokens' issuer, and its one algorithm.

        Raises:
            KeyConfigurationError: it is too short, it is a public key, or the algorithm is not one
                for secrets.
        """
        algorithm = _only(algorithms, SECRET_ALGORITHMS, "a secret")
        try:
            encoded = secret.encode()
        except UnicodeEncodeError:
            raise KeyConfigurationError("it is no Unicode text") from None
        return cls((secret_key(encoded, algorithm),), by_key_id=False)

    @classmethod
    def from_pem(cls, pem: bytes, algorithms: Sequence[str]) -> Self:
        """A public key, an RSA key's certificate, or a private key, whose public half counts here.

        Raises:
            KeyConfigurationError: it cannot be read, or is not fit for the algorithm.
        """
        algorithm = _only(algorithms, (*RSA_ALGORITHMS, *EC_CURVES), "a PEM file")
        return cls((public_key(pem.strip(), algorithm),), by_key_id=False)

    @classmethod
    def from_jwks(cls, document: bytes, algorithms: Sequence[str]) -> Self:
        """A JSON Web Key Set; keys that are not for verifying by the algorithms are passed over.

        Raises:
            KeyConfigurationError: it is no key set, it is ambiguous, or it has no key, or an unfit
                one, for the algorithms.
        """
        return cls(keys_in(document, algorithms), by_key_id=True)

    def find(self, header: Mapping[str, object]) -> VerificationKey | None:
        """The key for a token with this header (RFC 7515, section 4.1), if there is just one."""
        fit = [key for key in self._keys if key.algorithm == header.get("alg")]
        if self._by_key_id and "kid" in header:
            fit = [key for key in fit if key.key_id is not None and key.key_id == header["kid"]]
        return fit[0] if len(fit) == 1 else None


def _only(algorithms: Sequence[str], allowed: Sequence[str], source: str) -> str:
    match algorithms:
        case [str(algorithm)] if algorithm in allowed:
            return algorithm
        case _:
            raise KeyConfigurationError(
                f"ALGORITHM must be one of {', '.join(allowed)} with {source}"
            )
