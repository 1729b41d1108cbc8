"""Messages sent in transactions of the host application reach clients after the commit."""

import asyncio
import os
import sys
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

from socketio_app import Chat, Person, Room, create_socketio_app
from socketio_app.entrypoints.settings import Settings
from tests.databases import postgres_database
from tests.e2e.clients import Client, clients, settled, until
from tests.e2e.serving import serving
from tests.e2e.test_serving import free_port, wait_until_there
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


async def test_messages_of_an_open_transaction_follow_those_sent_meanwhile(
    host: Host, bob: Client
) -> None:
    if host.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer")
    async with host.sessions.begin() as session:
        for content in ("queued 1", "queued 2"):
            await host.chat.send("shop", Person("bob"), content, connection=session)
        for number in range(1, 6):
            sent = await host.chat.send("shop", Person("bob"), f"sent {number}")
            assert sent.message.seq == number
        await until(bob, "receive_personal_message", 5)

    await until(bob, "receive_personal_message", 7)
    messages = bob.inbox.of("receive_personal_message")
    assert [each["seq"] for each in messages] == [1, 2, 3, 4, 5, 6, 7]
    assert [each["content"] for each in messages[5:]] == ["queued 1", "queued 2"]


async def test_message_to_a_room_reaches_its_members_after_the_commit(
    host: Host, bob: Client
) -> None:
    await host.chat.join("shop", "lobby")
    await bob.call("join_room", {"room_id": "lobby"})
    async with host.sessions.begin() as session:
        await host.chat.send("shop", Room("lobby"), "Hello", connection=session)

    assert (await until(bob, "receive_group_message"))["content"] == "Hello"


async def test_retry_with_the_same_client_message_id_is_received_once(
    host: Host, bob: Client
) -> None:
    duplicates: list[bool] = []
    for _ in range(2):
        async with host.sessions.begin() as session:
            sent = await host.chat.send(
                "shop", Person("bob"), "Hello", client_message_id="1", connection=session
            )
            duplicates.append(sent.duplicate)
        await until(bob, "receive_personal_message")
    await host.chat.send("shop", Person("bob"), "Goodbye")
    await until(bob, "receive_personal_message", 2)

    assert duplicates == [False, True]
    assert received(bob) == ["Hello", "Goodbye"]


async def test_writes_of_the_chat_wait_for_an_open_transaction_on_sqlite(
    host: Host, bob: Client
) -> None:
    if host.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite has one writer")
    async with host.sessions.begin() as session:
        await host.chat.send("shop", Person("bob"), "queued", connection=session)
        sending = asyncio.create_task(host.chat.send("shop", Person("bob"), "sent"))
        await bob.call("list_conversations", {})  # reads do not wait
        assert not sending.done()
    await sending

    await until(bob, "receive_personal_message", 2)
    assert sorted(received(bob)) == ["queued", "sent"]


async def start(database_url: str, port: int) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.e2e.killed_host", str(port)],
        env={"PATH": os.environ["PATH"], "SECRET_KEY": SECRET, "DATABASE_URL": database_url},
        stderr=asyncio.subprocess.PIPE,
    )
    await wait_until_there(f"http://127.0.0.1:{port}", process)
    return process


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
async def test_message_reaches_its_recipient_though_the_process_is_killed_after_the_commit(
    kind: str, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with database_of(kind, tmp_path) as database_url:
        process = await start(database_url, port)
        async with clients(url, bob="websocket") as (before,):
            async with aiohttp.ClientSession() as http:
                with pytest.raises(aiohttp.ClientError):
                    await http.post(f"{url}/die", params={"to": "bob"})
            await process.communicate()
            await before.inbox.until(lambda: bool(before.inbox.of(":disconnect")))
            assert received(before) == []

        process = await start(database_url, port)
        try:
            async with clients(url, bob="websocket") as (after,):
                await until(after, "receive_personal_message")
                await settled(after)
                assert received(after) == ["Last words"]
        finally:
            process.terminate()
            await process.communicate()
