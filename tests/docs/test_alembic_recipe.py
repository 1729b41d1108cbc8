"""With the documented recipe, a host application's Alembic ignores the chat's tables."""

import re
import runpy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from socketio_app.adapters.sql.migrations import migrate_postgres
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from tests.databases import postgres_database

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()

HOST = MetaData()
Table("invoices", HOST, Column("id", Integer, primary_key=True))


def recipe(option: str, tmp_path: Path) -> dict[str, Any]:
    """Return an option of `context.configure` with the function in the page's snippet."""
    found = re.search(
        rf"<!-- snippet: alembic-{option.replace('_', '-')} -->\n```python\n(.*?)```",
        PAGE,
        re.DOTALL,
    )
    assert found is not None
    module = tmp_path / "env.py"
    module.write_text(found.group(1))
    return {option: runpy.run_path(str(module))[option]}


def differences(connection: Connection, options: dict[str, Any]) -> list[str]:
    """Return the operations that `alembic revision --autogenerate` would write."""
    context = MigrationContext.configure(connection, opts=options)
    return [
        f"{operation} {subject.name}" for operation, subject, *_ in compare_metadata(context, HOST)
    ]


@asynccontextmanager
async def sqlite(tmp_path: Path) -> AsyncIterator[Callable[[dict[str, Any]], Any]]:
    store = SqliteStore(tmp_path / "app.db", rooms_per_user=10)
    await store.start()
    await store.close()
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")

    async def compare(options: dict[str, Any]) -> list[str]:
        with engine.connect() as connection:
            return differences(connection, options)

    yield compare
    engine.dispose()


@asynccontextmanager
async def in_postgres(_tmp_path: Path) -> AsyncIterator[Callable[[dict[str, Any]], Any]]:
    async with postgres_database() as url:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))

        async def compare(options: dict[str, Any]) -> list[str]:
            async with engine.connect() as connection:
                return await connection.run_sync(differences, options)

        yield compare
        await engine.dispose()


@asynccontextmanager
async def in_schema(_tmp_path: Path) -> AsyncIterator[Callable[[dict[str, Any]], Any]]:
    """A database whose only tables are those of the chat, in a schema of their own."""
    async with postgres_database() as url:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
        await migrate_postgres(url, "chat")

        async def compare(options: dict[str, Any]) -> list[str]:
            async with engine.connect() as connection:
                return await connection.run_sync(differences, options)

        yield compare
        await engine.dispose()


@pytest.mark.parametrize("option", ["include_name", "include_object"])
@pytest.mark.parametrize(
    ("database", "options"),
    [(sqlite, {}), (in_postgres, {}), (in_schema, {"include_schemas": True})],
)
async def test_autogenerate_with_the_recipe_ignores_the_tables_of_the_chat(
    database: Callable[[Path], Any], options: dict[str, Any], option: str, tmp_path: Path
) -> None:
    async with database(tmp_path) as compare:
        without = await compare(options)
        with_recipe = await compare({**options, **recipe(option, tmp_path)})

    assert "remove_table chat_message" in without
    assert with_recipe == ["add_table invoices"]


async def test_autogenerate_without_other_schemas_ignores_the_schema_of_the_chat(
    tmp_path: Path,
) -> None:
    async with in_schema(tmp_path) as compare:
        assert await compare({}) == ["add_table invoices"]
