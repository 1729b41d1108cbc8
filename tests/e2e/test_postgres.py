"""A real server and real clients on PostgreSQL, behind PgBouncer or with outages."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import pytest

from socketio_app.adapters.sql.migrations import migrate_postgres
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.databases import postgres_database
from tests.e2e.clients import PythonClient, until
from tests.e2e.serving import serving
from tests.servers import pgbouncer, pgbouncer_binary, postgres
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

NO_PGBOUNCER = "PgBouncer is not installed, so the chat behind PgBouncer is NOT TESTED"
USERS = [f"user-{number}" for number in range(6)]


@asynccontextmanager
async def chat(database_url: str) -> AsyncIterator[str]:
    settings = Settings(secret_key=SECRET, rate_limits=False, database_url=database_url)
    async with serving(create_socketio_app(settings=settings)) as url:
        yield url


@asynccontextmanager
async def connected(url: str, user: str) -> AsyncIterator[PythonClient]:
    client = await PythonClient().open(url, "websocket", {"auth": {"token": token(user)}})
    try:
        yield client
    finally:
        await client.close()


def personal(recipient: str, content: str) -> dict[str, Any]:
    return {"to_user_id": recipient, "content": content, "client_message_id": content}


async def test_every_command_works_behind_pgbouncer_in_transaction_mode() -> None:
    if pgbouncer_binary() is None:
        if os.environ.get("CI"):
            pytest.fail(NO_PGBOUNCER)
        pytest.skip(NO_PGBOUNCER)
    async with AsyncExitStack() as stack:
        database_url = await stack.enter_async_context(postgres_database())
        through = stack.enter_context(pgbouncer(database_url))
        url = await stack.enter_async_context(chat(through))
        clients = [await stack.enter_async_context(connected(url, user)) for user in USERS]
        answers: list[Any] = []

        async def use(client: PythonClient, number: int) -> None:
            target = {"room_id": "lobby"}
            hello = await until(client, "connected")
            answers.append(await client.call("join_room", target))
            for count in range(5):
                name = f"{number}-{count}"
                answers.append(
                    await client.call("send_personal_message", personal(USERS[number - 1], name))
                )
                sent = await client.call("send_group_message", {**target, "content": name})
                answers.append(sent)
                answers.append(await client.call("fetch_history", target))
                answers.append(await client.call("list_conversations", {}))
                answers.append(
                    await client.call("mark_read", {**target, "seq": sent["message"]["seq"]})
                )
            position = [{"target": target, "seq": 0}]
            answers.append(
                await client.call("catch_up", {"epoch": hello["epoch"], "positions": position})
            )
            answers.append(await client.call("leave_room", target))

        await asyncio.gather(*[use(client, number) for number, client in enumerate(clients)])

    assert [answer for answer in answers if not answer["ok"]] == []


@pytest.mark.timeout(240)
async def test_first_command_after_database_restart_succeeds() -> None:
    with postgres() as server:
        await migrate_postgres(server.url)
        async with (
            chat(server.url) as url,
            connected(url, "ada") as ada,
            aiohttp.ClientSession() as http,
        ):
            assert (await ada.call("send_personal_message", personal("bob", "one")))["ok"]
            server.stop()
            rejected = await ada.call("send_personal_message", personal("bob", "two"))
            async with http.get(f"{url}/readyz") as ready:
                assert ready.status == 503
            server.start()

            sent = await ada.call("send_personal_message", personal("bob", "two"))
            listed = await ada.call("list_conversations", {})

            assert rejected["error"]["code"] == "unavailable"
            assert sent["message"]["seq"] == 2
            assert listed["ok"]
            async with http.get(f"{url}/readyz") as ready:
                assert ready.status == 200


async def test_client_gets_new_epoch_after_backup_is_restored() -> None:
    async with postgres_database() as database_url, chat(database_url) as url:
        async with connected(url, "ada") as ada:
            before = await until(ada, "connected")
        administration = await asyncpg.connect(database_url)
        await administration.execute("UPDATE chat_store SET epoch = 'restored'")
        await administration.close()

        async with connected(url, "ada") as ada:
            after = await until(ada, "connected")

    assert before["epoch"] != "restored"
    assert after["epoch"] == "restored"
