"""Keys, and hand-made tokens that are invalid in ways that no library would produce."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from itertools import product
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from jose import jwk

from tests.clocks import ManualClock

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

NOW = ManualClock().now()
"""Initial time of a `ManualClock`."""

SECRET = "a-secret-of-the-issuer-and-the-server"
ANOTHER_SECRET = "another-secret-of-an-attacker-0123456789"
RSA_KEY = generate_rsa(65537, 2048)
EC_KEY = generate_private_key(SECP256R1())


def seconds_from_now(seconds: float) -> float:
    return NOW.timestamp() + seconds


def claims(**changed: Any) -> dict[str, Any]:
    """Return valid claims of a token for Ada, with changes."""
    return {"sub": "ada", "exp": seconds_from_now(3600), **changed}


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def encoded(part: object) -> str:
    """Return a part of a token: bytes unchanged, anything else as JSON."""
    return base64url(part if isinstance(part, bytes) else json.dumps(part).encode())


def signed(header: object, payload: object, key: str | bytes, algorithm: str) -> str:
    """Return a token with any header and payload, signed with a secret or a private PEM."""
    signing_input = f"{encoded(header)}.{encoded(payload)}"
    signature = jwk.construct(key, algorithm).sign(signing_input.encode())
    return f"{signing_input}.{base64url(signature)}"


def token(*, key: str | bytes = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    """Return a token with valid claims, with changes."""
    return signed({"alg": algorithm}, claims(**changed), key, algorithm)


def hmac_signed(key: bytes) -> str:
    """Return a token signed with a secret that python-jose would reject."""
    signing_input = f"{encoded({'alg': 'HS256'})}.{encoded(claims())}"
    signature = hmac.digest(key, signing_input.encode(), hashlib.sha256)
    return f"{signing_input}.{base64url(signature)}"


def padded_to(length: int) -> str:
    """Return a valid token of `length` characters; padding one part cannot produce every length."""
    lengths = product(range(3), range(length * 3 // 4 - 200, length * 3 // 4))
    padded = (
        signed({"alg": "HS256", "typ": "x" * one}, claims(padding="x" * other), SECRET, "HS256")
        for one, other in lengths
    )
    return next(found for found in padded if len(found) == length)


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_der(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(key: RSAPrivateKey | EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    return (
        x509.CertificateBuilder(name, name, key.public_key(), serial_number=1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


def web_key(key: RSAPrivateKey | EllipticCurvePrivateKey, **changed: Any) -> dict[str, Any]:
    """Return the public half as a JSON Web Key, without `alg`, `use` or `kid` unless given."""
    algorithm = "RS256" if isinstance(key, RSAPrivateKey) else f"ES{key.curve.key_size}"
    found = jwk.construct(public_pem(key), algorithm.replace("521", "512")).to_dict()
    del found["alg"]
    return {**found, **changed}


def secret_web_key(secret: str | bytes, **changed: Any) -> dict[str, Any]:
    octets = secret.encode() if isinstance(secret, str) else secret
    return {"kty": "oct", "k": base64url(octets), **changed}


def web_key_set(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()
