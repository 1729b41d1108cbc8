"""A chat whose tables are in a schema of their own, in the database of its host."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest
from pydantic import BaseModel, PostgresDsn, SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from socketio_app import Chat, Person, create_socketio_app
from socketio_app.adapters.sql.migrations import migrate_postgres
from tests.databases import postgres_database
from tests.e2e.clients import clients, until
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

SCHEMA = "chat of the shop"


class HostSettings(BaseModel):
    """A host's settings object, with a URL for its own driver."""

    SECRET_KEY: SecretStr = SecretStr(SECRET)
    DATABASE_URL: PostgresDsn
    CHAT_DATABASE_SCHEMA: str = SCHEMA
    CHAT_DATABASE_POOL_SIZE: int = 3


@attrs.frozen
class Host:
    url: str
    chat: Chat
    engine: AsyncEngine

    async def count(self, table: str) -> Any:
        async with self.engine.connect() as connection:
            return await connection.scalar(text(f"SELECT count(*) FROM {table}"))


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(postgres_database())
        host_url = url.replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(host_url)
        stack.push_async_callback(engine.dispose)
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
            # A table of the host's whose name the chat uses as well.
            await connection.execute(text("CREATE TABLE chat_message (note text)"))
        await migrate_postgres(url, SCHEMA)
        app = create_socketio_app(settings=HostSettings(DATABASE_URL=PostgresDsn(host_url)))
        base = await stack.enter_async_context(serving(app))
        yield Host(base, app.state.chat, engine)


async def test_messages_are_stored_in_the_schema(host: Host) -> None:
    async with clients(host.url, ada="websocket", bob="polling") as (ada, bob):
        assert (await ada.call("send_personal_message", {"to_user_id": "bob", "content": "Hi"}))[
            "ok"
        ]
        assert (await until(bob, "receive_personal_message"))["content"] == "Hi"

    assert await host.count(f'"{SCHEMA}".chat_message') == 1
    assert await host.count("public.chat_message") == 0


async def test_host_sends_in_its_own_transaction_whatever_its_search_path(host: Host) -> None:
    async with clients(host.url, bob="websocket") as (bob,):
        async with host.engine.begin() as connection:
            await connection.execute(text("INSERT INTO chat_message VALUES ('sent')"))
            await host.chat.send("shop", Person("bob"), "Order 1", connection=connection)

        assert (await until(bob, "receive_personal_message"))["content"] == "Order 1"

    assert await host.count("public.chat_message") == 1
