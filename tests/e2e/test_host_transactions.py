"""Messages sent in transactions of the host application reach clients after the commit."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
import sqlmodel
from fastapi import FastAPI, HTTPException
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from socketio_app import Chat, Person, create_socketio_app
from socketio_app.entrypoints.settings import Settings
from tests.databases import postgres_database
from tests.e2e.clients import Client, clients, settled, until
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


@attrs.frozen
class Host:
    """A host application and its database, which the chat shares."""

    url: str
    chat: Chat
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    http: aiohttp.ClientSession

    async def post(self, path: str) -> int:
        async with self.http.post(f"{self.url}{path}") as answer:
            return answer.status


def host_app(sessions: async_sessionmaker[AsyncSession], sync_engine: Engine) -> FastAPI:
    api = FastAPI()

    @api.post("/orders")
    async def order(number: int, to: str, fails: bool = False) -> dict[str, Any]:
        chat: Chat = api.state.chat
        async with sessions.begin() as session:
            session.add(Order(id=number))
            sent = await chat.send("shop", Person(to), f"Order {number}", connection=session)
            if fails:
                raise HTTPException(409)
        return {"message_id": sent.message_id}

    @api.post("/sync-orders")
    def sync_order(number: int, to: str, fails: bool = False) -> None:
        chat: Chat = api.state.chat
        with sqlmodel.Session(sync_engine) as session:
            session.add(Order(id=number))
            chat.from_thread.send("shop", Person(to), f"Order {number}", connection=session)
            if fails:
                raise HTTPException(409)
            session.commit()

    return api


def host_url(url: str) -> str:
    """Return the URL as the host writes it, with its driver."""
    return url.replace("postgresql://", "postgresql+asyncpg://").replace(
        "sqlite://", "sqlite+aiosqlite://"
    )


@asynccontextmanager
async def database_of(kind: str, tmp_path: Path) -> AsyncIterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path}/app.db"
    else:
        async with postgres_database() as url:
            yield url


@pytest.fixture(params=["postgresql", "sqlite"])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(database_of(request.param, tmp_path))
        engine = create_async_engine(host_url(url))
        stack.push_async_callback(engine.dispose)
        sessions = async_sessionmaker(engine)
        sync_engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        stack.callback(sync_engine.dispose)
        settings = Settings(secret_key=SECRET, database_url=url)
        api = host_app(sessions, sync_engine)
        app = create_socketio_app(api, settings=settings)
        base = await stack.enter_async_context(serving(app))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Host(base, app.state.chat, engine, sessions, http)


@pytest.fixture
async def bob(host: Host) -> AsyncIterator[Client]:
    async with clients(host.url, bob="websocket") as (client,):
        yield client


def received(client: Client) -> list[str]:
    return [payload["content"] for payload in client.inbox.of("receive_personal_message")]


@pytest.mark.parametrize("path", ["/orders", "/sync-orders"])
async def test_committed_message_reaches_its_recipient(host: Host, bob: Client, path: str) -> None:
    assert await host.post(f"{path}?number=1&to=bob") == 200

    message = await until(bob, "receive_personal_message")

    assert message["content"] == "Order 1"


@pytest.mark.parametrize("path", ["/orders", "/sync-orders"])
async def test_rolled_back_message_reaches_nobody(host: Host, bob: Client, path: str) -> None:
    assert await host.post(f"{path}?number=1&to=bob&fails=true") == 409
    assert await host.post(f"{path}?number=2&to=bob") == 200

    await until(bob, "receive_personal_message")
    await settled(bob)

    assert received(bob) == ["Order 2"]
