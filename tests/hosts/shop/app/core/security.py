"""Passwords and access tokens."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from app.core.config import settings


def create_access_token(user_id: int) -> str:
    expires = datetime.now(UTC) + timedelta(minutes=settings.ACCESS_TOKEN_EXPIRE_MINUTES)
    claims: dict[str, Any] = {"sub": str(user_id), "exp": expires}
    if settings.JWT_AUDIENCE:
        claims["aud"] = [settings.JWT_AUDIENCE]
    key = settings.SECRET_KEY.get_secret_value()
    return jwt.encode(claims, key, algorithm=settings.ALGORITHM)


def user_id_of(token: str) -> int | None:
    """Return the id of the token's user, or None if the token is invalid."""
    key = settings.SECRET_KEY.get_secret_value()
    try:
        claims = jwt.decode(token, key, [settings.ALGORITHM], audience=settings.JWT_AUDIENCE)
        return int(claims["sub"])
    except (jwt.InvalidTokenError, KeyError, ValueError):
        return None


def hash_password(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}:{_scrypt(password, salt)}"


def verify_password(password: str, hashed: str) -> bool:
    salt, _, digest = hashed.partition(":")
    return secrets.compare_digest(_scrypt(password, bytes.fromhex(salt)), digest)


def _scrypt(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()
