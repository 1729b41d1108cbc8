"""Tokens for tests, as a host application would make them."""

import time
from typing import Any

from jose import jwt

SECRET = "a-secret-of-the-tests-that-is-long-enough"


def token(user_id: str, **claims: Any) -> str:
    """A token for a user, good for an hour unless `claims` say otherwise."""
    return jwt.encode(
        {"sub": user_id, "exp": int(time.time()) + 3600, **claims}, SECRET, algorithm="HS256"
    )
