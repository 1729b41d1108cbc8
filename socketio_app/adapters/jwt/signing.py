"""Signing of tokens, for the command line and for development."""

from datetime import datetime, timedelta
from typing import Any

from jose import jwt
from jose.exceptions import JOSEError

from socketio_app.adapters.jwt.keys import KeySet
from socketio_app.adapters.jwt.verification_key import SECRET_ALGORITHMS, KeyConfigurationError
from socketio_app.domain.identifiers import UserId


def sign_token(
    user_id: UserId,
    *,
    key: str,
    algorithm: str,
    now: datetime,
    lifetime: timedelta,
    issuer: str | None = None,
    audience: str | None = None,
) -> str:
    """Return a token for a user that a server with the same key accepts.

    `key` is a secret, or a private key in PEM format.

    Raises:
        KeyConfigurationError: the key cannot sign tokens, or a server would not accept it.
    """
    _check_verifies(key, algorithm)
    claims: dict[str, Any] = {
        "sub": user_id,
        "iat": int(now.timestamp()),
        # Not a sum of datetimes: the lifetime may end after the year 9999.
        "exp": int(now.timestamp() + lifetime.total_seconds()),
        **({} if issuer is None else {"iss": issuer}),
        **({} if audience is None else {"aud": audience}),
    }
    try:
        return jwt.encode(claims, key, algorithm=algorithm)
    except JOSEError:
        raise KeyConfigurationError("it is a public key, which cannot sign tokens") from None


def _check_verifies(key: str, algorithm: str) -> None:
    if algorithm in SECRET_ALGORITHMS:
        KeySet.from_secret(key, [algorithm])
    else:
        KeySet.from_pem(key.encode(errors="replace"), [algorithm])
