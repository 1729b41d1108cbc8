"""A second process on a PostgreSQL database is reported: it does not notify the first one's."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from socketio_app.adapters.sql.migrations import migrate_postgres
from socketio_app.adapters.sql.postgres.other_processes import WARNING
from socketio_app.adapters.sql.postgres.store import PostgresStore
from tests.builders import draft
from tests.databases import postgres_database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with postgres_database() as found:
        yield found


@asynccontextmanager
async def started(url: str, schema: str | None = None) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, 100, schema=schema)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


async def test_only_process_is_not_reported(url: str, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        async with started(url) as store:
            await store.messages.append(draft())

    assert warnings(caplog) == []


async def test_second_process_is_reported_when_it_starts(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(url) as first:
        await first.messages.append(draft())
        assert warnings(caplog) == []

        async with started(url):
            assert warnings(caplog) == [WARNING]


async def test_process_is_reported_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with started(url), started(url) as second:
        administration = await asyncpg.connect(url)
        await administration.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        await administration.close()
        await second.messages.append(draft())

    assert warnings(caplog).count(WARNING) == 1


async def test_chat_in_another_schema_is_not_reported(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    administration = await asyncpg.connect(url)
    await administration.execute("CREATE SCHEMA other")
    await administration.close()
    await migrate_postgres(url, "other")

    async with started(url), started(url, "other"):
        assert warnings(caplog) == []


async def test_chat_in_another_database_is_not_reported(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with postgres_database() as other, started(url), started(other):
        assert warnings(caplog) == []
