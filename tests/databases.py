"""Databases for tests, each empty but for the schema."""

import functools
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count

import asyncpg

from socketio_app.adapters.sql.migrations import migrate_postgres
from tests.servers import postgres

TEMPLATE = "chat_template"

_servers = ExitStack()
_numbers = count(1)


def stop_servers() -> None:
    """End what was started for the tests."""
    _servers.close()


@functools.cache
def server_url() -> str:
    """The PostgreSQL of the whole test run: `TEST_DATABASE_URL`, or one that is started for it."""
    given = os.environ.get("TEST_DATABASE_URL")
    return given or _servers.enter_context(postgres()).url


@asynccontextmanager
async def postgres_database() -> AsyncIterator[str]:
    """The URL of a new database, copied from one that was migrated."""
    administration = await asyncpg.connect(server_url())
    try:
        known = await administration.fetchval(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", TEMPLATE
        )
        if not known:
            await administration.execute(f"CREATE DATABASE {TEMPLATE}")
            await migrate_postgres(_url_of(TEMPLATE))
        name = f"chat_test_{os.getpid()}_{next(_numbers)}"
        await administration.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield _url_of(name)
        finally:
            await administration.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await administration.close()


def _url_of(database: str) -> str:
    return server_url().rsplit("/", 1)[0] + f"/{database}"
