"""The command line."""

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

from socketio_app.adapters.jwt import KeyConfigurationError, sign_token
from socketio_app.adapters.sql.migrations import HEAD, migrate_postgres
from socketio_app.adapters.sql.sqlite.backup import back_up
from socketio_app.adapters.sql.sqlite.url import sqlite_file
from socketio_app.adapters.system import SystemClock
from socketio_app.application.commands import Actor
from socketio_app.application.store_capabilities import StoreError
from socketio_app.domain.errors import InvalidPayload, Unavailable
from socketio_app.domain.identifiers import UserId
from socketio_app.entrypoints.import_string import ImportStringError, import_object
from socketio_app.entrypoints.settings import Settings, SettingsError
from socketio_app.entrypoints.verifiers import MissingKeyError, key_source

DEV_USERS = (UserId("ada"), UserId("bob"))
DEV_TOKEN_LIFETIME = timedelta(hours=24)
MAX_LIFETIME = timedelta(days=36_500)
"""Maximum token lifetime if the settings have none: dates end in the year 9999."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 2 for a usage, configuration or store error."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except MissingKeyError as error:
        hint = "to try out the chat, use socketio-app serve --dev"
        print(f"socketio-app: {error}; {hint}", file=sys.stderr)
        return 2
    except (SettingsError, UsageError, StoreError, Unavailable) as error:
        print(f"socketio-app: {error}", file=sys.stderr)
        return 2
    return status


class UsageError(Exception):
    """The command was used incorrectly. The message is one line."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="socketio-app", description="A real-time chat server.")
    parser.add_argument("--version", action="version", version=version("socketio-app"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the chat")
    serve.add_argument(
        "--dev",
        action="store_true",
        help="run without configuration: use a throwaway key, and print tokens to try the chat",
    )
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", help="port to listen on")
    serve.set_defaults(run=_serve)

    migrate = commands.add_parser("migrate", help="create or migrate the tables in PostgreSQL")
    source = migrate.add_mutually_exclusive_group()
    source.add_argument("--database-url", help="URL of the chat's store")
    source.add_argument(
        "--settings",
        metavar="MODULE:NAME",
        help="settings object of a host application, such as app.config:settings",
    )
    migrate.set_defaults(run=_migrate)

    backup = commands.add_parser("backup", help="copy the SQLite file, even while a server runs")
    backup.add_argument("file", type=Path, help="path of the copy; must not exist")
    backup.set_defaults(run=_backup)

    token = commands.add_parser("token", help="print a token signed with the configured key")
    token.add_argument("user", help="id of the user")
    token.add_argument("--hours", type=float, default=24.0, help="lifetime in hours (default: 24)")
    token.set_defaults(run=_token)
    return parser


def _serve(options: argparse.Namespace) -> int:
    settings = Settings.from_environment(os.environ)
    if options.host is not None:
        settings = settings.replace(host=options.host)
    if options.port is not None:
        settings = settings.replace(socketio_port=options.port)

    # Imported here because uvicorn is slow to import and other commands do not need it.
    from socketio_app.entrypoints.serving import serve

    if options.dev:
        settings = _for_development(settings)
        serve(settings, on_started=partial(_introduce, settings))
    else:
        serve(settings)
    return 0


def _for_development(settings: Settings) -> Settings:
    if not settings.has_key_source:
        settings = settings.replace(secret_key=secrets.token_urlsafe(48))
        print("Using a throwaway key: its tokens are valid for this run only.")
    if not settings.backend_cors_origins:
        settings = settings.replace(backend_cors_origins=("*",))
        print("BACKEND_CORS_ORIGINS is not set: allowing all origins.")
    return settings


def _introduce(settings: Settings) -> None:
    """Print tokens and instructions for trying the chat."""
    try:
        tokens = [_sign(settings, user, DEV_TOKEN_LIFETIME) for user in DEV_USERS]
    except (KeyConfigurationError, SettingsError) as error:
        print(f"Cannot create tokens to try the chat: {error}.", flush=True)
        return
    for user, token in zip(DEV_USERS, tokens, strict=True):
        print(f"\nA token for {user}:\n{token}")
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104  (compared, not bound)
    host = f"[{host}]" if ":" in host else host
    print(
        "\nIn a browser's console:\n"
        'const { io } = await import("https://cdn.socket.io/4.8.1/socket.io.esm.min.js")\n'
        f'const socket = io("http://{host}:{settings.chat_port}", '
        f'{{ auth: {{ token: "{tokens[0]}" }} }})\n',
        flush=True,
    )


def _migrate(options: argparse.Namespace) -> int:
    settings = _settings_of_store(options)
    url = settings.store_url
    if url.startswith("memory://"):
        print("Nothing to migrate: messages are stored in memory (DATABASE_URL).")
    elif url.startswith("sqlite://"):
        print(f"Nothing to migrate: a server migrates {sqlite_file(url)} when it starts.")
    else:
        before = asyncio.run(migrate_postgres(url, settings.chat_database_schema))
        print(_migrated(before))
    return 0


def _migrated(before: str | None) -> str:
    if before is None:
        return f"Created the chat's tables, version {HEAD}."
    if before == HEAD:
        return f"The chat's tables are up to date: version {HEAD}."
    return f"Migrated the chat's tables from version {before} to {HEAD}."


STORE_SETTINGS = ("DATABASE_URL", "CHAT_DATABASE_URL", "CHAT_DATABASE_SCHEMA")


def _settings_of_store(options: argparse.Namespace) -> Settings:
    """Return the settings of the store: from the options, a host application or the environment."""
    if options.database_url is not None:
        given = {**os.environ, "CHAT_DATABASE_URL": options.database_url}
        try:
            return Settings.from_environment(given, only=STORE_SETTINGS)
        except SettingsError as error:
            raise UsageError(str(error).replace("CHAT_DATABASE_URL", "--database-url", 1)) from None
    if options.settings is None:
        return Settings.from_environment(os.environ, only=STORE_SETTINGS)
    try:
        return Settings.from_object(import_object(options.settings), only=STORE_SETTINGS)
    except ImportStringError as error:
        raise UsageError(f"--settings {options.settings} {error}") from None


def _backup(options: argparse.Namespace) -> int:
    url = Settings.from_environment(os.environ).store_url
    if not url.startswith("sqlite://"):
        raise UsageError("only SQLite is supported; DATABASE_URL is not a SQLite file")
    path = Path(sqlite_file(url))
    back_up(path, options.file)
    print(f"Copied {path} to {options.file}.")
    return 0


def _token(options: argparse.Namespace) -> int:
    try:
        user = Actor(UserId(options.user)).user_id
    except InvalidPayload as error:
        raise UsageError(str(error)) from None
    settings = Settings.from_environment(os.environ)
    lifetime = _lifetime(options.hours, settings)
    try:
        print(_sign(settings, user, lifetime))
    except KeyConfigurationError as error:
        raise UsageError(f"cannot sign tokens with the configured key: {error}") from None
    return 0


def _lifetime(hours: float, settings: Settings) -> timedelta:
    """Return a token's lifetime, which must not exceed what the server accepts."""
    longest = (settings.jwt_max_lifetime or MAX_LIFETIME) / timedelta(hours=1)
    if not 0 < hours <= longest:
        raise UsageError(
            f"--hours must be greater than 0 and at most {longest:.0f} (JWT_MAX_LIFETIME_DAYS), "
            f"not {hours:g}"
        )
    return timedelta(hours=hours)


def _sign(settings: Settings, user: UserId, lifetime: timedelta) -> str:
    """Return a token that a server with these settings accepts."""
    key_source(settings)  # reports invalid keys in the same words as the server
    if settings.jwt_jwks_file is not None or settings.jwt_jwks_url is not None:
        raise KeyConfigurationError("a key set contains only public keys")
    key = settings.secret_key or ""
    if settings.jwt_key_file is not None:
        key = settings.jwt_key_file.read_text()
    return sign_token(
        user,
        key=key,
        algorithm=settings.algorithm[0],
        now=SystemClock().now(),
        lifetime=lifetime,
        issuer=next(iter(settings.jwt_issuer), None),
        audience=next(iter(settings.jwt_audience), None),
    )
