"""The command line."""

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import attrs

from socketio_app.adapters.jwt import KeyConfigurationError, sign_token
from socketio_app.adapters.sql.migrations import SchemaError, migrate_postgres
from socketio_app.adapters.sql.postgres.session import ConnectFailedError
from socketio_app.adapters.sql.sqlite.backup import back_up
from socketio_app.adapters.sql.sqlite.file import StoreFileError
from socketio_app.adapters.system import SystemClock
from socketio_app.application.commands import Actor
from socketio_app.domain.errors import InvalidPayload, Unavailable
from socketio_app.domain.identifiers import UserId
from socketio_app.entrypoints.composition import key_set, sqlite_path
from socketio_app.entrypoints.settings import Settings, SettingsError

DEV_USERS = (UserId("ada"), UserId("bob"))
DEV_TOKEN_LIFETIME = timedelta(hours=24)
MAX_LIFETIME = timedelta(days=36_500)
"""Of a token where the server has no limit: dates end in the year 9999."""


STORE_ERRORS = (StoreFileError, SchemaError, ConnectFailedError, Unavailable)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status. 2 means that something has to be set or said otherwise."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (SettingsError, UsageError, *STORE_ERRORS) as error:
        print(f"socketio-app: {error}", file=sys.stderr)
        return 2
    return status


class UsageError(Exception):
    """The command cannot do what was asked. The message is one line."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="socketio-app", description="A real-time chat server.")
    parser.add_argument("--version", action="version", version=version("socketio-app"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the chat")
    serve.add_argument(
        "--dev",
        action="store_true",
        help="need no configuration: make a key for this run, and print tokens to try it with",
    )
    serve.add_argument("--host", help="the address to listen on")
    serve.add_argument("--port", help="the chat's port")
    serve.set_defaults(run=_serve)

    migrate = commands.add_parser("migrate", help="bring the database's tables up to date")
    migrate.set_defaults(run=_migrate)

    backup = commands.add_parser("backup", help="copy the SQLite file, also while a server runs")
    backup.add_argument("file", type=Path, help="where the copy goes; it must not exist")
    backup.set_defaults(run=_backup)

    token = commands.add_parser("token", help="print a token for the configured key")
    token.add_argument("user", help="the user's id")
    token.add_argument("--hours", type=float, default=24.0, help="how long it is good for (24)")
    token.set_defaults(run=_token)
    return parser


def _serve(options: argparse.Namespace) -> int:
    settings = Settings.from_environment(os.environ)
    if options.host is not None:
        settings = attrs.evolve(settings, host=options.host)
    if options.port is not None:
        settings = attrs.evolve(settings, socketio_port=options.port)
    if options.dev:
        settings = _for_development(settings)
        _introduce(settings)

    # uvicorn and all that serves is of no use to the other commands, and takes its time.
    from socketio_app.entrypoints.serving import serve

    serve(settings)
    return 0


def _for_development(settings: Settings) -> Settings:
    if not settings.has_key_source:
        settings = attrs.evolve(settings, secret_key=secrets.token_urlsafe(48))
        print("The key is made for this run: its tokens end with it.")
    if not settings.backend_cors_origins:
        settings = attrs.evolve(settings, backend_cors_origins=("*",))
        print("Pages of every origin may connect, as BACKEND_CORS_ORIGINS is not set.")
    return settings


def _introduce(settings: Settings) -> None:
    """Print what a person needs to try the chat."""
    try:
        tokens = [_sign(settings, user, DEV_TOKEN_LIFETIME) for user in DEV_USERS]
    except (KeyConfigurationError, SettingsError) as error:
        print(f"There are no tokens to try it with: {error}.", flush=True)
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


def _migrate(_options: argparse.Namespace) -> int:
    url = Settings.from_environment(os.environ).database_url
    if not url.startswith("postgresql://"):
        raise UsageError("only PostgreSQL is migrated by command; a SQLite file migrates itself")
    asyncio.run(migrate_postgres(url))
    print("The chat's tables are up to date.")
    return 0


def _backup(options: argparse.Namespace) -> int:
    path = sqlite_path(Settings.from_environment(os.environ))
    if path is None:
        raise UsageError("only a SQLite file is backed up by command; DATABASE_URL names none")
    back_up(path, options.file)
    print(f"{path} is copied to {options.file}.")
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
        raise UsageError(f"no token can be signed with the configured key: {error}") from None
    return 0


def _lifetime(hours: float, settings: Settings) -> timedelta:
    """How long a token is to last; never longer than the server would let in."""
    longest = (settings.jwt_max_lifetime or MAX_LIFETIME) / timedelta(hours=1)
    if not 0 < hours <= longest:
        raise UsageError(
            f"--hours must be over 0 and at most {longest:.0f}, which JWT_MAX_LIFETIME_DAYS sets, "
            f"not {hours:g}"
        )
    return timedelta(hours=hours)


def _sign(settings: Settings, user: UserId, lifetime: timedelta) -> str:
    """A token that the server with these settings lets in."""
    key_set(settings)  # what the server would refuse as a key is refused here in the same words
    if settings.jwt_jwks_file is not None:
        raise KeyConfigurationError("a JWKS file holds public keys")
    key = settings.secret_key or ""
    if settings.jwt_key_file is not None:
        key = settings.jwt_key_file.read_text()
    return sign_token(
        user,
        key=key,
        algorithm=settings.algorithm[0],
        now=SystemClock().now(),
        lifetime=lifetime,
        issuer=settings.jwt_issuer,
        audience=next(iter(settings.jwt_audience), None),
    )
