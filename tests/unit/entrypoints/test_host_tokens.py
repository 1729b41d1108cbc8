"""Tokens as host applications issue them, verified with their settings."""

import time
from typing import Any
from uuid import UUID

import jose.jwt
import pytest

from socketio_app.adapters.system import SystemClock
from socketio_app.entrypoints.settings import Settings
from socketio_app.entrypoints.verifiers import jwt_verifier
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

PRIMARY_KEY = UUID("6f2b9a52-3c5e-4d0f-9a77-0d2f7c1a9b11")


async def user_of(claims: dict[str, Any], **settings: object) -> str:
    """Return the user of a token with these claims that is valid for an hour."""
    token = jose.jwt.encode({"exp": int(time.time()) + 3600, **claims}, SECRET, "HS256")
    host = {"SECRET_KEY": SECRET, **settings}
    verifier = jwt_verifier(Settings.from_object(host), SystemClock())
    return (await verifier.verify(token)).user_id


@pytest.mark.parametrize(
    ("subject", "user"), [(42, "42"), ("42", "42"), (str(PRIMARY_KEY), str(PRIMARY_KEY))]
)
async def test_primary_key_in_sub_is_the_user_id(subject: object, user: str) -> None:
    assert await user_of({"sub": subject}) == user


async def test_token_of_fastapi_users_is_accepted_for_its_audience() -> None:
    claims = {"sub": str(PRIMARY_KEY), "aud": ["fastapi-users:auth"]}

    assert await user_of(claims, JWT_AUDIENCE="fastapi-users:auth") == str(PRIMARY_KEY)


async def test_user_id_can_be_in_another_claim() -> None:
    claims = {"sub": "ada@example.com", "user_id": 42}

    assert await user_of(claims, JWT_USER_CLAIM="user_id") == "42"


@pytest.mark.parametrize("issuer", ["https://one.example", "https://two.example/"])
async def test_any_of_several_issuers_and_audiences_is_accepted(issuer: str) -> None:
    settings = {
        "JWT_ISSUER": ["https://one.example", "https://two.example/"],
        "JWT_AUDIENCE": ["api", "chat"],
    }

    assert await user_of({"sub": "ada", "iss": issuer, "aud": ["chat"]}, **settings) == "ada"


async def test_clock_of_the_issuer_may_be_some_seconds_ahead_by_default() -> None:
    ahead = int(time.time()) + 5

    assert await user_of({"sub": "ada", "iat": ahead, "nbf": ahead}) == "ada"
