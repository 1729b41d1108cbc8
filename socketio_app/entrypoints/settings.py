"""The settings: their names, defaults, bounds and descriptions.

Names are those common in FastAPI projects. Settings are read from the environment, from `.env`, or
from attributes of the host's own settings object. An attribute here is a setting's name in lower
case.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import attrs
from dotenv import dotenv_values

from socketio_app.entrypoints.limit_settings import LimitSettings
from socketio_app.entrypoints.parsing import (
    SettingsError,
    http_url,
    integer,
    log_level,
    one_of,
    optional,
    origins,
    path,
    seconds,
    setting,
    text,
    url_path,
    words,
)
from socketio_app.entrypoints.stores import MEANINGS, database_url, host_database_url

__all__ = ["Settings", "SettingsError"]

# Maximum size of a character in JSON: an escaped surrogate pair.
_JSON_BYTES_PER_CHARACTER = 12
_JSON_BYTES_AROUND_CONTENT = 4096


@attrs.frozen(kw_only=True, init=False)
class Settings(LimitSettings):
    """All settings.

    Args:
        values: settings by their names in lower case. Values may be strings, as in the environment.

    Raises:
        SettingsError: a value is invalid; the message begins with the setting's name.
    """

    secret_key: str | None = setting(
        None,
        optional(text),
        "Secret that tokens are signed with, of at least 32 bytes. There is no default.",
        secret=True,
    )
    algorithm: tuple[str, ...] = setting(
        "HS256",
        words,
        "Signature algorithm of tokens: HS256, HS384 or HS512 with a secret; RS256, RS384, RS512, "
        "ES256, ES384 or ES512 with a key file. With a JWKS file or URL, several algorithms "
        "separated by commas. A token's own `alg` does not override it.",
    )
    jwt_key_file: Path | None = setting(
        None, optional(path), "PEM file with the public key. Overrides `SECRET_KEY`."
    )
    jwt_jwks_file: Path | None = setting(
        None,
        optional(path),
        "File with a JSON Web Key Set. A token's `kid` selects the key. Overrides `SECRET_KEY`.",
    )
    jwt_jwks_url: str | None = setting(
        None,
        optional(http_url),
        "URL of the issuer's JSON Web Key Set, such as "
        "`https://issuer.example/.well-known/jwks.json`. Overrides `SECRET_KEY`.",
    )
    jwt_jwks_cache_seconds: float = setting(
        300,
        seconds(1, 86_400),
        "Time for which fetched keys are used before `JWT_JWKS_URL` is fetched again, in seconds.",
    )
    jwt_issuer: tuple[str, ...] = setting(
        "",
        words,
        "Accepted `iss` values of tokens, separated by commas. If unset, any issuer is accepted.",
    )
    jwt_audience: tuple[str, ...] = setting(
        "",
        words,
        "Accepted `aud` values of tokens, separated by commas. If unset, tokens with an `aud` are "
        "rejected.",
    )
    jwt_leeway_seconds: float = setting(
        10,
        seconds(0, 600),
        "Tolerated difference between the issuer's clock and the server's when the times in a "
        "token are checked, in seconds.",
    )
    jwt_user_claim: str = setting(
        "sub",
        text,
        "Claim with the user's id: a string, such as a UUID, or an integer, which is converted to "
        "its decimal string.",
    )
    jwt_max_lifetime_days: int = setting(
        366,
        integer(0, 36_500),
        "Maximum remaining lifetime of a token, in days; tokens that expire later are rejected. 0 "
        "disables the limit.",
    )
    host: str = setting(
        "127.0.0.1",
        text,
        "Address to listen on; `0.0.0.0` for all interfaces.",
        standalone=True,
    )
    port: int = setting(
        8000,
        integer(1, 65_535),
        "Port of your API. The chat listens on the next one.",
        standalone=True,
    )
    socketio_port: int | None = setting(
        None,
        optional(integer(1, 65_535)),
        "Port of the chat. If unset, `PORT` + 1.",
        standalone=True,
    )
    metrics_port: int | None = setting(
        None,
        optional(integer(1, 65_535)),
        "Port for `/metrics`, `/healthz` and `/readyz`. If it is the chat's own port, `/metrics` "
        "is public. If unset, no metrics are collected. Only for `socketio-app serve`.",
        standalone=True,
    )
    metrics_host: str = setting(
        "127.0.0.1",
        text,
        "Address that `METRICS_PORT` is bound to.",
        standalone=True,
    )
    drain_delay_seconds: float = setting(
        0,
        seconds(0, 600),
        "Time between the shutdown signal and the start of draining, in seconds. `/readyz` already "
        "fails during this time, so that load balancers stop sending clients.",
        standalone=True,
    )
    drain_seconds: float = setting(
        5,
        seconds(0, 600),
        "Period over which connections are closed on shutdown, in seconds, so that clients do not "
        "all reconnect at once. A small number of connections takes less.",
        standalone=True,
    )
    trusted_proxies: tuple[str, ...] = setting(
        "127.0.0.1",
        words,
        "Addresses or networks of proxies whose `X-Forwarded-For` is trusted, separated by commas; "
        "`*` trusts all. Only for `socketio-app serve`; other servers have a setting of their own.",
        standalone=True,
    )
    backend_cors_origins: tuple[str, ...] = setting(
        "",
        origins,
        "Web origins that may connect in addition to the server's own, separated by commas or as "
        "a JSON list; `*` allows all. If empty, only same-origin requests are allowed. "
        "`https://*.example.com` allows each direct subdomain, and `https://pr-*.example.com` some "
        "of them: use `*` only below a domain of your own. Apps and extensions have origins such "
        "as `capacitor://localhost`; `null` is the origin "
        "of every sandboxed frame and most local files.",
    )
    websocket_path: str = setting(
        "",
        url_path,
        "Path of the chat over plain WebSockets, such as `/ws` (docs/wire.md). If empty, there is "
        "none.",
    )
    chat_database_url: str | None = setting(
        None,
        optional(database_url),
        "Store of the chat, if the application's `DATABASE_URL` is not for the chat, which then "
        "does not read that.",
        secret=True,
    )
    database_url: str = setting(
        "memory://",
        host_database_url,
        f"Store for messages and memberships: {MEANINGS}. A driver name "
        "(`postgresql+asyncpg://`) is ignored.",
        secret=True,
    )
    log_format: str = setting(
        "auto",
        one_of("auto", "json", "console"),
        "Log format: `json`, `console` for people, or `auto`, which is `console` on a terminal and "
        "`json` elsewhere. Only for `socketio-app serve`.",
        standalone=True,
    )
    log_level: str = setting(
        "info",
        log_level,
        "Minimum log level. Only for `socketio-app serve`.",
        standalone=True,
    )
    ping_interval_seconds: float = setting(
        25, seconds(1, 3600), "Interval between heartbeat pings to a client, in seconds."
    )
    ping_timeout_seconds: float = setting(
        20,
        seconds(1, 3600),
        "Time that a client has to answer a ping, in seconds; then its connection is closed. Time "
        "for which the event loop was blocked does not count.",
    )

    # Written out because type checkers do not know the settings that are derived from `Limits`.
    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - {name.lower() for name in names()}
        if unknown:
            raise SettingsError(f"{min(unknown)} is not a setting (docs/configuration.md)")
        self.__attrs_init__(**values)

    def __attrs_post_init__(self) -> None:
        if self.chat_port > 65_535:
            raise SettingsError(
                f"PORT must be at most 65534 without SOCKETIO_PORT, not {self.port}"
            )
        limits = self.limits()
        if limits.typing_renew >= limits.typing_ttl:
            raise SettingsError("CHAT_TYPING_RENEW_MS must be less than CHAT_TYPING_TTL_MS")
        chars = limits.max_content_chars
        longest = chars * _JSON_BYTES_PER_CHARACTER + _JSON_BYTES_AROUND_CONTENT
        if longest > self.max_frame_bytes:
            raise SettingsError(
                f"MAX_FRAME_BYTES must be at least {longest}, so that a message of "
                f"{chars} characters fits, not {self.max_frame_bytes}"
            )
        sources = {
            "JWT_KEY_FILE": self.jwt_key_file,
            "JWT_JWKS_FILE": self.jwt_jwks_file,
            "JWT_JWKS_URL": self.jwt_jwks_url,
        }
        given = [name for name, source in sources.items() if source is not None]
        if len(given) > 1:
            raise SettingsError(f"{' and '.join(given)} are mutually exclusive")

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str],
        dotenv: Path | None = Path(".env"),
        *,
        only: Sequence[str] | None = None,
    ) -> Self:
        """Read the settings from the environment and a `.env` file; the environment wins.

        An empty value means unset; unknown names are ignored.

        Args:
            environ: the environment.
            dotenv: the file, which need not exist; `None` for none.
            only: names of the settings to read; all by default.

        Raises:
            SettingsError: a setting is invalid, or the file cannot be read.
        """
        in_file = {} if dotenv is None else _in_file(dotenv)
        read = names() if only is None else only
        found = {name.lower(): environ.get(name) or in_file.get(name) for name in read}
        values: dict[str, Any] = {name: value for name, value in found.items() if value}
        return cls(**_for_the_chat(values))

    @classmethod
    def from_object(cls, host_settings: object, *, only: Sequence[str] | None = None) -> Self:
        """Read the settings from an object's attributes, in upper case or else in lower case.

        Of a mapping, the keys are read. `None` means unset.

        Args:
            host_settings: the object.
            only: names of the settings to read; all by default.

        Raises:
            SettingsError: a setting is invalid.
        """
        values: dict[str, Any] = {}
        for name in names() if only is None else only:
            value = _given(host_settings, name)
            if value is None:
                value = _given(host_settings, name.lower())
            if value is not None:
                values[name.lower()] = value
        return cls(**_for_the_chat(values))

    def replace(self, **values: Any) -> Self:
        """Return a copy with some settings replaced."""
        return attrs.evolve(self, **values)

    @property
    def store_url(self) -> str:
        """URL of the chat's store."""
        return self.database_url if self.chat_database_url is None else self.chat_database_url

    @property
    def has_key_source(self) -> bool:
        """Whether a key for verifying tokens is configured."""
        sources = (self.secret_key, self.jwt_key_file, self.jwt_jwks_file, self.jwt_jwks_url)
        return any(source is not None for source in sources)

    @property
    def chat_port(self) -> int:
        """The port that the chat listens on."""
        return self.port + 1 if self.socketio_port is None else self.socketio_port

    @property
    def jwt_leeway(self) -> timedelta:
        """Tolerance for differences between clocks."""
        return timedelta(seconds=self.jwt_leeway_seconds)

    @property
    def jwt_max_lifetime(self) -> timedelta | None:
        """Maximum remaining lifetime of a token; `None` if unlimited."""
        return timedelta(days=self.jwt_max_lifetime_days) if self.jwt_max_lifetime_days else None


def names() -> list[str]:
    """Return the names of all settings, as in the environment."""
    return [field.name.upper() for field in attrs.fields(Settings)]


def mounted_names() -> list[str]:
    """Return the names of the settings that a chat in a host application uses."""
    fields = attrs.fields(Settings)
    return [field.name.upper() for field in fields if not field.metadata["standalone"]]


def _for_the_chat(values: dict[str, Any]) -> dict[str, Any]:
    """Return the given settings without a `DATABASE_URL` that is for the host application alone."""
    if "chat_database_url" in values:
        values.pop("database_url", None)
    return values


def _given(host_settings: object, name: str) -> object:
    if isinstance(host_settings, Mapping):
        return host_settings.get(name)
    return getattr(host_settings, name, None)


def _in_file(dotenv: Path) -> Mapping[str, str | None]:
    try:
        return dotenv_values(dotenv, interpolate=False) if dotenv.is_file() else {}
    except UnicodeDecodeError:
        raise SettingsError(f"{dotenv} cannot be read: it is not UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{dotenv} cannot be read: {error.strerror}") from None
