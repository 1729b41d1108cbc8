"""PostgreSQL databases for tests."""

import functools
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from zlib import crc32

import asyncpg

from socketio_app.adapters.sql import migrations
from socketio_app.adapters.sql.migrations import migrate_postgres
from tests.servers import postgres

TEMPLATE_LOCK = 20261123

_servers = ExitStack()
_numbers = count(1)
_server_url = os.environ.get("TEST_DATABASE_URL")


def use_server(url: str) -> None:
    """Use a server that another process of the test run started."""
    global _server_url
    _server_url = url


def stop_servers() -> None:
    """Stop the servers that were started for the tests."""
    _servers.close()


def server_url() -> str:
    """Return the URL of the test run's server: `TEST_DATABASE_URL`, or one that is started."""
    global _server_url
    if _server_url is None:
        _server_url = _servers.enter_context(postgres()).url
    return _server_url


@asynccontextmanager
async def postgres_database() -> AsyncIterator[str]:
    """Create a database from a migrated template; yield its URL."""
    administration = await asyncpg.connect(server_url())
    try:
        template = await _template(administration)
        async with _database(administration, template) as url:
            yield url
    finally:
        await administration.close()


@asynccontextmanager
async def empty_database() -> AsyncIterator[str]:
    """Create a database without tables; yield its URL."""
    administration = await asyncpg.connect(server_url())
    try:
        async with _database(administration, "template1") as url:
            yield url
    finally:
        await administration.close()


@asynccontextmanager
async def _database(
    administration: "asyncpg.Connection[asyncpg.Record]", template: str
) -> AsyncIterator[str]:
    name = f"chat_test_{os.getpid()}_{next(_numbers)}"
    await administration.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _url_of(name)
    finally:
        await administration.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def _template(administration: "asyncpg.Connection[asyncpg.Record]") -> str:
    """Return the name of the template database, created by the first worker that needs it."""
    name = f"chat_template_{_checksum_of_migrations():08x}"
    await administration.execute("SELECT pg_advisory_lock($1)", TEMPLATE_LOCK)
    try:
        exists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
        if not await administration.fetchval(exists, name):
            await administration.execute(f"DROP DATABASE IF EXISTS {name}_unfinished")
            await administration.execute(f"CREATE DATABASE {name}_unfinished")
            await migrate_postgres(_url_of(f"{name}_unfinished"))
            await administration.execute(f"ALTER DATABASE {name}_unfinished RENAME TO {name}")
    finally:
        await administration.execute("SELECT pg_advisory_unlock($1)", TEMPLATE_LOCK)
    return name


@functools.cache
def _checksum_of_migrations() -> int:
    """Identify the schema: the server may still have templates of earlier ones."""
    scripts = Path(migrations.__file__).parent.rglob("*.py")
    return crc32(b"".join(script.read_bytes() for script in sorted(scripts)))


def _url_of(database: str) -> str:
    return server_url().rsplit("/", 1)[0] + f"/{database}"
