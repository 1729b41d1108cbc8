"""The store behind a real PgBouncer in transaction mode."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from socketio_app.adapters.sql.migrations import migrate_postgres
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import Unavailable
from tests.builders import LOBBY, draft
from tests.databases import postgres_database
from tests.integration.conftest import NO_PGBOUNCER
from tests.integration.test_postgres_outages import WAITING, administration, opened
from tests.integration.test_sql_stores import use_everything
from tests.servers import pgbouncer, pgbouncer_binary, postgres

pytestmark = pytest.mark.anyio

ROOM = Room(LOBBY)


@pytest.fixture(autouse=True)
def installed() -> None:
    if pgbouncer_binary() is None:
        if os.environ.get("CI"):
            pytest.fail(NO_PGBOUNCER)
        pytest.skip(NO_PGBOUNCER)


@pytest.fixture
async def direct_url() -> AsyncIterator[str]:
    async with postgres_database() as url:
        yield url


SESSION_STATE = """
    SELECT name, setting FROM pg_settings
    WHERE name IN ('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit', 'search_path',
        'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
        'default_transaction_isolation', 'plan_cache_mode')
    UNION ALL SELECT 'prepared statements', count(*)::text FROM pg_prepared_statements
"""


async def server_sessions(url: str) -> Sequence[Mapping[str, object]]:
    """Return the state of PgBouncer's two server sessions."""
    both_started = asyncio.Barrier(2)

    async def read_state() -> Mapping[str, object]:
        connection = await asyncpg.connect(url, statement_cache_size=0)
        async with connection.transaction():
            await connection.fetchval("SELECT 1")
            await both_started.wait()
            rows = await connection.fetch(SESSION_STATE)
        await connection.close()
        return {row["name"]: row["setting"] for row in rows}

    return await asyncio.gather(read_state(), read_state())


@pytest.mark.parametrize("query", ["", "?pgbouncer=true", "?search_path=public"])
async def test_everything_works_and_server_sessions_are_unchanged(
    direct_url: str, query: str
) -> None:
    with pgbouncer(direct_url) as url:
        before = await server_sessions(url)
        async with opened(url + query) as one, opened(url + query) as other:
            await asyncio.gather(*[use_everything(each) for each in [one, other] * 10])

            assert await server_sessions(url) == before


async def test_everything_works_in_session_mode(direct_url: str) -> None:
    with pgbouncer(direct_url, "session", default_pool_size=40) as url:
        async with opened(url) as one, opened(url) as other:
            await asyncio.gather(*[use_everything(each) for each in [one, other] * 10])


async def test_host_and_chat_share_transactions_through_pgbouncer(direct_url: str) -> None:
    with pgbouncer(direct_url) as url:
        async with opened(url) as store:
            engine = create_async_engine(
                url.replace("postgresql:", "postgresql+psycopg:"),
                connect_args={"prepare_threshold": None},
            )
            outbox = store.capabilities.outbox
            assert outbox is not None
            sent = draft(ROOM, client_message_id="1")
            async with engine.begin() as connection:
                await outbox.put(connection, sent, lambda _ids, _is_over: None)
                assert await outbox.page(None, 10) == []

            assert await outbox.find([sent.message_id]) == [sent]
            await engine.dispose()


async def test_concurrent_appends_leave_no_gaps(direct_url: str) -> None:
    with pgbouncer(direct_url) as url:
        async with opened(url) as one, opened(url) as other:
            stored = await asyncio.gather(
                *[
                    store.messages.append(draft(ROOM, client_message_id=f"m{number}"))
                    for number in range(200)
                    for store in (one, other)
                ]
            )

    assert {each.message.seq for each in stored} == set(range(1, 201))
    assert sum(not each.duplicate for each in stored) == 200


async def test_statement_that_waits_too_long_is_cancelled(direct_url: str) -> None:
    with pgbouncer(direct_url) as url:
        query = "?options=-c%20statement_timeout%3D200"
        async with administration(direct_url) as admin, opened(url + query) as store:
            await store.messages.append(draft(ROOM))
            async with admin.transaction():
                await admin.execute("SELECT FROM chat_conversation FOR UPDATE")
                with pytest.raises(Unavailable):
                    await store.messages.append(draft(ROOM))
                waiting = await admin.fetchval(WAITING)

            assert waiting == 0
            assert (await store.messages.append(draft(ROOM))).message.seq == 2


@pytest.mark.timeout(240)
async def test_migration_and_reconnect_work_through_pgbouncer() -> None:
    with postgres() as server, pgbouncer(server.url) as url:
        before = await server_sessions(url)
        await asyncio.gather(*[migrate_postgres(url) for _ in range(2)])
        assert await server_sessions(url) == before

        async with opened(url) as store:
            await use_everything(store)

        # The server restarts while PgBouncer keeps running.
        async with opened(url) as store:
            stored = await store.messages.append(draft(ROOM))
            server.stop()
            with pytest.raises(Unavailable):
                await store.messages.append(draft(ROOM))
            server.start()

            async with asyncio.timeout(60):
                seq = await append_with_retries(store)
            assert seq == stored.message.seq + 1


async def append_with_retries(store: PostgresStore) -> int:
    while True:
        try:
            return (await store.messages.append(draft(ROOM))).message.seq
        except Unavailable:
            await asyncio.sleep(0.05)


async def test_pooler_is_detected(direct_url: str) -> None:
    with pgbouncer(direct_url) as url:
        async with opened(url) as behind, opened(direct_url) as direct:
            assert behind._connector._is_pooled
            assert not direct._connector._is_pooled


async def test_detection_of_a_pooler_can_be_turned_off(direct_url: str) -> None:
    async with opened(f"{direct_url}?pgbouncer=false") as store:
        assert not store._connector._is_pooled
        await use_everything(store)
