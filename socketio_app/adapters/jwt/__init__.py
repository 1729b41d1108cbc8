"""JSON Web Tokens (RFC 7519); python-jose verifies their signatures."""

from socketio_app.adapters.jwt.keys import KeySet, KeySource
from socketio_app.adapters.jwt.signing import sign_token
from socketio_app.adapters.jwt.verification_key import KeyConfigurationError
from socketio_app.adapters.jwt.verifier import JwtVerifier

__all__ = [
    "JwtVerifier",
    "KeyConfigurationError",
    "KeySet",
    "KeySource",
    "RemoteKeys",
    "sign_token",
]
