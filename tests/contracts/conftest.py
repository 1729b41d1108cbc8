"""The stores that all contract tests run against."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from socketio_app.adapters.memory import MemoryStore
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.application.ports import Store
from tests.databases import postgres_database

ROOMS_PER_USER = 3


@asynccontextmanager
async def memory(_path: Path) -> AsyncIterator[Store]:
    yield MemoryStore(max_messages=1000, conversations=1000, rooms_per_user=ROOMS_PER_USER)


@asynccontextmanager
async def sqlite(path: Path) -> AsyncIterator[Store]:
    yield SqliteStore(path / "chat.db", ROOMS_PER_USER)


@asynccontextmanager
async def in_postgres(_path: Path) -> AsyncIterator[Store]:
    async with postgres_database() as url:
        yield PostgresStore(url, ROOMS_PER_USER)


@pytest.fixture(params=[memory, sqlite, in_postgres])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    create: Callable[[Path], AbstractAsyncContextManager[Store]] = request.param
    async with create(tmp_path) as store:
        await store.start()
        try:
            yield store
        finally:
            await store.close()
