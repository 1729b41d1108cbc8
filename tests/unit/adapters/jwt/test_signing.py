"""Tokens for trying things out."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from socketio_app.adapters.jwt import JwtVerifier, KeyConfigurationError, KeySet, sign_token
from socketio_app.domain.errors import Unauthenticated
from socketio_app.domain.identifiers import UserId
from tests.clocks import ManualClock
from tests.unit.adapters.jwt.forging import (
    EC_KEY,
    NOW,
    RSA_KEY,
    SECRET,
    PrivateKey,
    certificate,
    private_pem,
    public_pem,
)

pytestmark = pytest.mark.anyio


def sign(key: str = SECRET, algorithm: str = "HS256", **options: Any) -> str:
    lifetime = options.pop("lifetime", timedelta(hours=1))
    return sign_token(
        UserId("ada"), key=key, algorithm=algorithm, now=NOW, lifetime=lifetime, **options
    )


async def test_a_token_signed_with_a_secret_is_let_in_until_it_ends() -> None:
    verifier = JwtVerifier(KeySet.from_secret(SECRET, ["HS512"]), ManualClock())

    identity = await verifier.verify(sign(algorithm="HS512"))

    assert identity.user_id == "ada"
    assert identity.expires_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("RS256", RSA_KEY), ("ES256", EC_KEY), ("ES512", ec.generate_private_key(ec.SECP521R1()))],
)
async def test_a_token_signed_with_a_private_key_is_let_in_by_the_public_one(
    algorithm: str, key: PrivateKey
) -> None:
    verifier = JwtVerifier(KeySet.from_pem(public_pem(key), [algorithm]), ManualClock())

    identity = await verifier.verify(sign(private_pem(key).decode(), algorithm))

    assert identity.user_id == "ada"


async def test_it_says_who_made_it_and_for_whom() -> None:
    keys = KeySet.from_secret(SECRET, ["HS256"])
    asking = JwtVerifier(keys, ManualClock(), issuer="https://issuer", audience="chat")

    identity = await asking.verify(sign(issuer="https://issuer", audience="chat"))

    assert identity.user_id == "ada"
    with pytest.raises(Unauthenticated):
        await asking.verify(sign())


async def test_a_lifetime_may_end_after_the_last_date() -> None:
    keys = KeySet.from_secret(SECRET, ["HS256"])
    verifier = JwtVerifier(keys, ManualClock(), max_lifetime=None)

    identity = await verifier.verify(sign(lifetime=timedelta.max))

    assert identity.expires_at is not None
    assert identity.expires_at.year == 9999


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA_KEY), ("ES256", EC_KEY)])
def test_a_public_key_signs_nothing(algorithm: str, key: PrivateKey) -> None:
    with pytest.raises(KeyConfigurationError, match=r"^it is a public key, which signs nothing$"):
        sign(public_pem(key).decode(), algorithm)


def test_a_certificate_signs_nothing() -> None:
    with pytest.raises(KeyConfigurationError, match="signs nothing"):
        sign(certificate(RSA_KEY).public_bytes(Encoding.PEM).decode(), "RS256")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param("hush", "HS256", id="a short secret"),
        pytest.param("", "HS256", id="no secret"),
        pytest.param(public_pem(RSA_KEY).decode(), "HS256", id="a public key as a secret"),
        pytest.param(private_pem(EC_KEY).decode(), "ES384", id="another curve"),
        pytest.param(private_pem(EC_KEY).decode(), "RS256", id="another type"),
        pytest.param(SECRET, "RS256", id="no PEM"),
        pytest.param("\udcff" * 32, "RS256", id="no text"),
        pytest.param(SECRET, "none", id="no algorithm"),
    ],
)
def test_what_would_not_verify_is_not_signed(key: str, algorithm: str) -> None:
    with pytest.raises(KeyConfigurationError) as refused:
        sign(key, algorithm)

    assert "hush" not in str(refused.value)
