"""The verifiers of tokens, created from the settings or from a function of the host application."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from socketio_app.adapters.custom_verifier import (
    CustomRequestVerifier,
    CustomVerifier,
    VerifyToken,
    check_verify_token,
    takes_request,
)
from socketio_app.adapters.jwt import (
    JwtVerifier,
    KeyConfigurationError,
    KeySet,
    KeySource,
)
from socketio_app.application.ports import Clock, TokenVerifier
from socketio_app.entrypoints.settings import Settings, SettingsError


class MissingKeyError(SettingsError):
    """No key for verifying tokens is configured."""


Keys = TypeVar("Keys", bound=KeySource)


def custom_verifier(verify_token: VerifyToken, settings: Settings, clock: Clock) -> CustomVerifier:
    """Create the token verifier from a function of the host application.

    Raises:
        SettingsError: the function takes the request, and any website could open connections with
            its visitors' cookies.
        TypeError: the function takes other arguments.
    """
    check_verify_token(verify_token)
    if not takes_request(verify_token):
        return CustomVerifier(verify_token, clock)
    of_any_website = _ORIGINS_OF_ANY_WEBSITE.intersection(settings.backend_cors_origins)
    if of_any_website:
        raise SettingsError(
            f"BACKEND_CORS_ORIGINS must not have {min(of_any_website)} if verify_token takes the "
            "request: any website could connect with its visitors' cookies; name the origins"
        )
    return CustomRequestVerifier(verify_token, clock)


_ORIGINS_OF_ANY_WEBSITE: Final = frozenset({"*", "null"})
"""`null` is the origin of a sandboxed frame, which any website can have."""


def jwt_verifier(settings: Settings, clock: Clock) -> TokenVerifier:
    """Create the token verifier from the settings.

    Raises:
        MissingKeyError: there is no key.
        SettingsError: the key is unusable.
    """
    return JwtVerifier(
        key_source(settings),
        clock,
        issuer=settings.jwt_issuer or None,
        audience=settings.jwt_audience or None,
        leeway=settings.jwt_leeway,
        max_lifetime=settings.jwt_max_lifetime,
        user_claim=settings.jwt_user_claim,
    )


def key_source(settings: Settings) -> KeySource:
    """Return the keys that verify tokens: from a URL, a JWKS file, a PEM file or the secret.

    Raises:
        MissingKeyError: there is no key.
        SettingsError: the key is unusable.
    """
    url = settings.jwt_jwks_url
    if url is None:
        return key_set(settings)

    # Imported here because most applications fetch no keys, and need no HTTP client.
    from socketio_app.adapters.jwt.remote_keys import RemoteKeys

    lifetime = settings.jwt_jwks_cache_seconds
    return _checked(
        "JWT_JWKS_URL", lambda: RemoteKeys(url, settings.algorithm, lifetime_seconds=lifetime)
    )


def key_set(settings: Settings) -> KeySet:
    """Return the keys in a JWKS file, a PEM file or the secret.

    Raises:
        MissingKeyError: there is no key.
        SettingsError: the key is unusable.
    """
    if settings.jwt_jwks_file is not None:
        document = _contents("JWT_JWKS_FILE", settings.jwt_jwks_file)
        return _checked("JWT_JWKS_FILE", lambda: KeySet.from_jwks(document, settings.algorithm))
    if settings.jwt_key_file is not None:
        pem = _contents("JWT_KEY_FILE", settings.jwt_key_file)
        return _checked("JWT_KEY_FILE", lambda: KeySet.from_pem(pem, settings.algorithm))
    if settings.secret_key is not None:
        secret = settings.secret_key
        return _checked("SECRET_KEY", lambda: KeySet.from_secret(secret, settings.algorithm))
    raise MissingKeyError(
        "SECRET_KEY is not set: set it to at least 32 random bytes (openssl rand -hex 32), or set "
        "JWT_KEY_FILE, JWT_JWKS_FILE or JWT_JWKS_URL"
    )


def _contents(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}: {path}") from None


def _checked(name: str, build: Callable[[], Keys]) -> Keys:
    try:
        return build()
    except KeyConfigurationError as error:
        raise SettingsError(f"{name} is unusable: {error}") from None
