"""Makes tokens, for the command line and for trying things out."""

from datetime import datetime, timedelta
from typing import Any

from jose import jwt
from jose.exceptions import JOSEError

from socketio_app.adapters.jwt.keys import KeyConfigurationError
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
    """A token for a user.

    `key` is a secret, or a private key as PEM.

    Raises:
        KeyConfigurationError: nothing can be signed with the key: a public one, for example.
    """
    claims: dict[str, Any] = {
        "sub": user_id,
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    if issuer is not None:
        claims["iss"] = issuer
    if audience is not None:
        claims["aud"] = audience
    try:
        return jwt.encode(claims, key, algorithm=algorithm)
    except (JOSEError, ValueError, TypeError, AttributeError):
        raise KeyConfigurationError(f"it cannot sign a token with {algorithm}") from None
