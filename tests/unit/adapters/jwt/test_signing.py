"""Signing of tokens for development."""

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


async def test_token_signed_with_a_secret_is_accepted_until_it_expires() -> None:
    verifier = JwtVerifier(KeySet.from_secret(SECRET, ["HS512"]), ManualClock())

    identity = await verifier.verify(sign(algorithm="HS512"))

    assert identity.user_id == "ada"
    assert identity.expires_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("RS256", RSA_KEY), ("ES256", EC_KEY), ("ES512", ec.generate_private_key(ec.SECP521R1()))],
)
async def test_token_signed_with_a_private_key_verifies_with_the_public_key(
    algorithm: str, key: PrivateKey
) -> None:
    verifier = JwtVerifier(KeySet.from_pem(public_pem(key), [algorithm]), ManualClock())

    identity = await verifier.verify(sign(private_pem(key).decode(), algorithm))

    assert identity.user_id == "ada"


async def test_token_has_the_issuer_and_the_audience() -> None:
    keys = KeySet.from_secret(SECRET, ["HS256"])
    verifier = JwtVerifier(keys, ManualClock(), issuer="https://issuer", audience="chat")

    identity = await verifier.verify(sign(issuer="https://issuer", audience="chat"))

    assert identity.user_id == "ada"
    with pytest.raises(Unauthenticated):
        await verifier.verify(sign())


async def test_lifetime_may_end_after_the_year_9999() -> None:
    keys = KeySet.from_secret(SECRET, ["HS256"])
    verifier = JwtVerifier(keys, ManualClock(), max_lifetime=None)

    identity = await verifier.verify(sign(lifetime=timedelta.max))

    assert identity.expires_at is not None
    assert identity.expires_at.year == 9999


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA_KEY), ("ES256", EC_KEY)])
def test_public_key_cannot_sign(algorithm: str, key: PrivateKey) -> None:
    with pytest.raises(
        KeyConfigurationError, match=r"^it is a public key, which cannot sign tokens$"
    ):
        sign(public_pem(key).decode(), algorithm)


def test_certificate_cannot_sign() -> None:
    with pytest.raises(KeyConfigurationError, match="cannot sign tokens"):
        sign(certificate(RSA_KEY).public_bytes(Encoding.PEM).decode(), "RS256")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param("hush", "HS256", id="a short secret"),
        pytest.param("", "HS256", id="an empty secret"),
        pytest.param(public_pem(RSA_KEY).decode(), "HS256", id="a public key as a secret"),
        pytest.param(private_pem(EC_KEY).decode(), "ES384", id="another curve"),
        pytest.param(private_pem(EC_KEY).decode(), "RS256", id="another type"),
        pytest.param(SECRET, "RS256", id="not PEM"),
        pytest.param("\udcff" * 32, "RS256", id="not Unicode"),
        pytest.param(SECRET, "none", id="no algorithm"),
    ],
)
def test_token_that_would_not_verify_is_not_signed(key: str, algorithm: str) -> None:
    with pytest.raises(KeyConfigurationError) as error:
        sign(key, algorithm)

    assert "hush" not in str(error.value)
