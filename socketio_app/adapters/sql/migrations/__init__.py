"""The schema's history, and the way along it. Alembic's scripts are in `versions`."""

from pathlib import Path

from asyncpg import Connection as AsyncpgConnection
from sqlalchemy import Connection, NullPool, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from socketio_app.adapters.sql import schema
from socketio_app.adapters.sql.postgres.session import Connector
from socketio_app.adapters.sql.postgres.url import parse_postgres_url

HEAD = "0002"
"""The revision that this code works with."""

VERSION_TABLE = "chat_alembic_version"


class SchemaError(Exception):
    """The database has another schema than this code works with. The message is one line."""


def migrate(connection: Connection) -> None:
    """Bring the schema up to date, where it is not.

    Raises:
        SchemaError: it is from a later version of this project.
    """
    current = revision(connection)
    if current == HEAD:
        return
    # Alembic takes a second to import, and is hardly ever needed.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError:
        raise SchemaError(
            f"the database has schema {current}, which this version does not know; it needs {HEAD}"
        ) from None


async def migrate_postgres(url: str) -> None:
    """Bring a PostgreSQL database's schema up to date.

    Where several do so at once, one does the work and the others wait for it.

    Args:
        url: `postgresql://...`, as the store takes it.

    Raises:
        DatabaseUrlError: The URL cannot be used.
        ConnectFailedError: The database cannot be reached, or rejects the login.
        SchemaError: The schema is from a later version of this project, or cannot be changed.
    """
    parameters = parse_postgres_url(url)
    connector = Connector(parameters, answer_timeout_seconds=None)

    async def connect() -> AsyncpgConnection:
        return (await connector.open()).connection

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    settings = {**parameters.session_settings, **_MIGRATION_SETTINGS}
    try:
        async with engine.begin() as connection:
            for name, value in settings.items():
                await connection.execute(_SET, {"name": name, "value": value})
            await connection.execute(_TAKE_TURNS)
            await connection.run_sync(migrate)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else error
        reason = str(cause or error.orig).partition("\n")[0]
        raise SchemaError(f"the chat's tables cannot be brought up to date: {reason}") from error
    finally:
        await engine.dispose()


# A migration may take any time, and waits for transactions of servers that still run.
_MIGRATION_SETTINGS = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
_SET = text("SELECT set_config(:name, :value, true)")
_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtextextended('chat_alembic_version', 0))")


def revision(connection: Connection) -> str | None:
    """The revision that the database is at; `None` where there are no tables yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(
        text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  (a constant)
    ).scalar()
    return found


def read_epoch(connection: Connection) -> str:
    """The incarnation's name, which was made with the database."""
    epoch: str = connection.execute(select(schema.store.c.epoch)).scalar_one()
    return epoch
