"""Makes tokens, for the command line and for trying things out."""

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
    """A token for a user, that a server with the same key lets in.

    `key` is a secret, or a private key as PEM.

    Raises:
        KeyConfigurationError: nothing can be signed with the key, or nothing that would verify.
    """
    _check_verifies(key, algorithm)
    claims: dict[str, Any] = {
        "sub": user_id,
        "iat": int(now.timestamp()),
        # Not a sum of dates: a lifetime may end after the last of them.
        "exp": int(now.timestamp() + lifetime.total_seconds()),
        **({} if issuer is None else {"iss": issuer}),
        **({} if audience is None else {"aud": audience}),
    }
    try:
        return jwt.encode(claims, key, algorithm=algorithm)
    except JOSEError:
        raise KeyConfigurationError("it is a public key, which signs nothing") from None


def _check_verifies(key: str, algorithm: str) -> None:
    if algorithm in SECRET_ALGORITHMS:
        KeySet.from_secret(key, [algorithm])
    else:
        KeySet.from_pem(key.encode(errors="replace"), [algorithm])
