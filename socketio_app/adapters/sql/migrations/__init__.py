"""The schema's history, and the way along it. Alembic's scripts are in `versions`."""

from pathlib import Path

from sqlalchemy import Connection, inspect, make_url, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from socketio_app.adapters.sql import schema

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

    Args:
        url: `postgresql://...`

    Raises:
        SchemaError: it is from a later version of this project.
        OSError, sqlalchemy.exc.DBAPIError: the database does not let us in.
    """
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


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
