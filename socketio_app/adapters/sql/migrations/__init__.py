"""Schema migrations. The Alembic scripts are in `versions`."""

from pathlib import Path

from asyncpg import Connection as AsyncpgConnection
from sqlalchemy import Connection, NullPool, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateSchema

from socketio_app.adapters.sql import schema
from socketio_app.adapters.sql.postgres.session import Connector
from socketio_app.adapters.sql.postgres.url import parse_postgres_url
from socketio_app.application.store_capabilities import StoreError

_SCRIPTS = Path(__file__).parent

HEAD = max(script.name[1:5] for script in _SCRIPTS.glob("versions/v*.py"))
"""The revision that this code requires: that of the newest script."""

VERSION_TABLE = "chat_alembic_version"


class SchemaError(StoreError):
    """The database has another schema than this code requires. The message is one line."""


def migrate(connection: Connection) -> str | None:
    """Upgrade the schema to `HEAD`, and return the revision before; `None` if there was none.

    Raises:
        SchemaError: the schema is from a later version of this project.
    """
    current = revision(connection)
    if current == HEAD:
        return current
    # Importing Alembic takes a second, and is rarely necessary.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError:
        raise SchemaError(
            f"the database has schema {current}, which this version does not know; "
            f"{HEAD} is required"
        ) from None
    return current


async def migrate_postgres(url: str, schema: str | None = None) -> str | None:
    """Upgrade the tables of the chat in a PostgreSQL database.

    If several processes do so concurrently, one migrates and the others wait for it.

    Args:
        url: a `postgresql://` URL, as for the store.
        schema: schema of the tables, which is created if it does not exist; by default, that of
            the URL or of the database.

    Returns:
        The revision before; `None` if there were no tables.

    Raises:
        DatabaseUrlError: the URL is invalid.
        ConnectFailedError: the database cannot be reached, or rejects the login.
        SchemaError: the schema is from a later version of this project, or cannot be migrated.
    """
    parameters = parse_postgres_url(url, schema)
    connector = Connector(parameters, answer_timeout_seconds=None)

    async def connect() -> AsyncpgConnection:
        return (await connector.open()).connection

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    settings = {**parameters.session_settings, **_MIGRATION_SETTINGS}
    try:
        async with engine.begin() as connection:
            for name, value in settings.items():
                await connection.execute(_SET, {"name": name, "value": value})
            await connection.execute(_LOCK)
            if schema is not None:
                await connection.run_sync(_create_schema, schema)
            return await connection.run_sync(migrate)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else error
        reason = str(cause or error.orig).partition("\n")[0]
        raise SchemaError(f"cannot migrate the chat tables: {reason}") from error
    finally:
        await engine.dispose()


def _create_schema(connection: Connection, schema: str) -> None:
    # Not IF NOT EXISTS, which needs the privilege to create one even if it exists.
    if not inspect(connection).has_schema(schema):
        connection.execute(CreateSchema(schema))


# A migration may take long, and waits for transactions of running servers.
_MIGRATION_SETTINGS = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
_SET = text("SELECT set_config(:name, :value, true)")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('chat_alembic_version', 0))")


def revision(connection: Connection) -> str | None:
    """Return the revision of the database; `None` if there are no tables yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(
        text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  (a constant)
    ).scalar()
    return found


def read_epoch(connection: Connection) -> str:
    """Return the epoch, which was created with the tables."""
    epoch: str = connection.execute(select(schema.store.c.epoch)).scalar_one()
    return epoch
