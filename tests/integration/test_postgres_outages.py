"""The store during outages of PostgreSQL, and after them."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import pytest

from socketio_app.adapters.log_event import event_of
from socketio_app.adapters.sql.migrations import SchemaError, migrate_postgres
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.domain.conversations import Pair, Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import UserId
from tests.builders import ADA, BOB, LOBBY, NOON, draft
from tests.databases import postgres_database
from tests.servers import postgres

pytestmark = pytest.mark.anyio

Administration: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

ROOM = Room(LOBBY)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, rooms_per_user=10)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def administration(url: str) -> AsyncIterator[Administration]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def end_all_other_sessions(connection: Administration) -> None:
    """End all other sessions, and wait until they have ended."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():
        await asyncio.sleep(0.005)


async def set_for_new_sessions(connection: Administration, setting: str) -> None:
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} {setting}")


WRITES: dict[str, Callable[[PostgresStore], Awaitable[object]]] = {
    "append": lambda store: store.messages.append(draft(ROOM)),
    "join": lambda store: store.rooms.join(LOBBY, BOB, NOON),
    "mark_read": lambda store: store.conversations.mark_read(ADA, ROOM, 1),
}


async def test_sessions_with_a_read_only_server_are_replaced() -> None:
    async with postgres_database() as url, administration(url) as admin:
        async with opened(url) as store:
            await store.messages.append(draft(ROOM, BOB))
        await set_for_new_sessions(admin, "SET default_transaction_read_only = on")
        async with opened(url) as store:
            for write in WRITES.values():
                with pytest.raises(Unavailable):
                    await write(store)
            # All sessions of the pool are now connected to a read-only server.
            await asyncio.gather(*[store.messages.last_seq(ROOM) for _ in range(20)])
            await set_for_new_sessions(admin, "RESET default_transaction_read_only")

            async def all_work() -> bool:
                outcomes = [
                    await asyncio.gather(*[write(store) for _ in range(20)], return_exceptions=True)
                    for write in WRITES.values()
                ]
                failed = {type(each) for row in outcomes for each in row} & {Unavailable}
                return not failed

            async with asyncio.timeout(60):
                await until(all_work)


@pytest.mark.timeout(240)
async def test_host_that_accepts_writes_is_used() -> None:
    with postgres() as read_only:
        async with postgres_database() as url:
            name = url.rpartition("/")[2]
            async with administration(read_only.url) as admin:
                await admin.execute(f"CREATE DATABASE {name}")
                await admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
                await admin.execute("SELECT pg_reload_conf()")
            first = read_only.url.rpartition("/")[0]

            async with opened(f"{first},{url.partition('@')[2]}") as store:
                for write in WRITES.values():
                    await write(store)


async def test_host_that_does_not_answer_delays_only_the_first_session() -> None:
    # The operating system accepts connections to it, but no process answers.
    with socket.create_server(("127.0.0.1", 0), backlog=100) as dead:
        dead.setblocking(False)
        address = f"127.0.0.1:{dead.getsockname()[1]},127.0.0.1"
        async with postgres_database() as url:
            url = url.replace("127.0.0.1", address) + "?connect_timeout=1"
            async with opened(url) as store:
                await store.messages.append(draft(ROOM))
                await asyncio.gather(*[store.messages.last_seq(ROOM) for _ in range(20)])

        dead.accept()[0].close()
        with pytest.raises(BlockingIOError):
            dead.accept()


async def test_closed_session_is_replaced_before_it_is_used() -> None:
    async with postgres_database() as url, administration(url) as admin, opened(url) as store:
        await store.messages.append(draft(ROOM))
        await end_all_other_sessions(admin)
        await until(lambda: _all_closed(store))

        assert (await store.messages.append(draft(ROOM))).message.seq == 2
        assert await store.messages.last_seq(ROOM) == 2


async def _all_closed(store: PostgresStore) -> bool:
    return all(each.connection.is_closed() for each in store._connector._sessions)


@pytest.mark.timeout(240)
async def test_reconnecting_logs_the_outage_once_and_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with postgres() as server:
        await migrate_postgres(server.url)
        async with opened(server.url) as store:
            await store.messages.append(draft(ROOM))
            caplog.clear()
            caplog.set_level(logging.INFO)
            server.stop()
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await store.messages.append(draft(ROOM))
                with pytest.raises(Unavailable):
                    await store.messages.last_seq(ROOM)
            server.start()
            await store.messages.append(draft(ROOM))
            await store.messages.last_seq(ROOM)

    assert [event_of(record) for record in caplog.records] == [
        "the store is unavailable",
        "the store is available again",
    ]


async def test_statement_that_waits_too_long_is_cancelled_and_stores_nothing() -> None:
    async with postgres_database() as url, administration(url) as admin:
        async with opened(f"{url}?options=-c%20statement_timeout%3D200") as store:
            await store.messages.append(draft(ROOM))
            async with admin.transaction():
                await admin.execute("SELECT FROM chat_conversation FOR UPDATE")
                for _ in range(3):
                    with pytest.raises(Unavailable):
                        await store.messages.append(draft(ROOM))
                waiting = await admin.fetchval(WAITING)

            assert waiting == 0
            assert (await store.messages.append(draft(ROOM))).message.seq == 2


WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def test_process_that_hangs_in_a_transaction_loses_its_locks() -> None:
    async with postgres_database() as url:
        query = "?options=-c%20idle_in_transaction_session_timeout%3D100"
        async with opened(url + query) as hanging, opened(url) as other:
            await other.messages.append(draft(ROOM))

            async def hang_in_a_transaction() -> None:
                async with hanging._pool.transaction() as connection:
                    await connection.execute("SELECT FROM chat_conversation FOR UPDATE")
                    # The server ends the idle transaction before this append times out.
                    assert (await other.messages.append(draft(ROOM))).message.seq == 2
                    await connection.execute("SELECT")

            with pytest.raises(Unavailable):
                await hang_in_a_transaction()
            assert await hanging.messages.last_seq(ROOM) == 2


@pytest.mark.parametrize("query", ["", "?pgbouncer=true"])
async def test_server_times_out_before_the_chat_does(query: str) -> None:
    async with postgres_database() as url, opened(url + query) as store:
        for session in (store._pool.connection(), store.messages._appending.statement()):
            async with session as connection:
                for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
                    assert await connection.fetchval(f"SHOW {name}") == "8s"


async def test_cancelled_read_is_cancelled_on_the_server() -> None:
    async with postgres_database() as url, administration(url) as admin, opened(url) as store:
        async with admin.transaction():
            await admin.execute("LOCK TABLE chat_conversation")
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await store.messages.last_seq(ROOM)

            async def nothing_waits() -> bool:
                return bool(await admin.fetchval(WAITING) == 0)

            async with asyncio.timeout(60):
                await until(nothing_waits)


async def test_appends_do_not_wait_for_readers() -> None:
    async with postgres_database() as url, opened(url) as store:
        busy = asyncio.Event()

        async def read_slowly() -> None:
            async with store._pool.connection():
                await busy.wait()

        readers = [asyncio.create_task(read_slowly()) for _ in range(50)]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(60):
                first = await store.messages.append(draft(Pair.of(ADA, BOB)))
                others = await asyncio.gather(
                    *[store.messages.append(draft(Pair.of(ADA, UserId(f"u{n}")))) for n in range(9)]
                )
        finally:
            busy.set()
            await asyncio.gather(*readers)

        assert first.message.seq == 1
        assert {each.message.seq for each in others} == {1}


@pytest.mark.parametrize("query", ["", "?pgbouncer=true"])
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_default_isolation_level_of_the_database_has_no_effect(
    level: str, query: str
) -> None:
    async with postgres_database() as url, administration(url) as admin:
        await set_for_new_sessions(admin, f"SET default_transaction_isolation = '{level}'")
        async with opened(url + query) as one, opened(url + query) as other:
            appends = [
                store.messages.append(draft(ROOM, client_message_id=f"m{number // 2}"))
                for number in range(200)
                for store in (one, other)
            ]
            joins = [
                store.rooms.join(LOBBY, UserId(f"user-{number}"), NOON)
                for number in range(50)
                for store in (one, other)
            ]
            stored = await asyncio.gather(*appends)
            joined = await asyncio.gather(*joins)

    assert {each.message.seq for each in stored} == set(range(1, 101))
    assert sum(each.joined for each in joined) == 50


async def test_failed_start_leaves_no_session() -> None:
    async with postgres_database() as url, administration(url) as admin:
        await admin.execute("UPDATE chat_alembic_version SET version_num = '9999'")
        store = PostgresStore(url, rooms_per_user=10)

        for _ in range(3):
            with pytest.raises(SchemaError):
                await store.start()

            async def none_left() -> bool:
                return bool(await admin.fetchval(OTHERS) == 0)

            async with asyncio.timeout(60):
                await until(none_left)


OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def test_new_epoch_is_noticed_while_the_server_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with postgres_database() as url, administration(url) as admin, opened(url) as store:
        first = store.epoch
        await store.rooms.join(LOBBY, ADA, NOON)

        await admin.execute("UPDATE chat_store SET epoch = 'restored'")
        assert list(await store.rooms.rooms_of(BOB)) == []
        assert store.epoch == "restored"
        await admin.execute("UPDATE chat_store SET epoch = 'again'")
        assert list(await store.rooms.rooms_of(ADA)) == [LOBBY]
        assert store.epoch == "again"
        await admin.execute("UPDATE chat_store SET epoch = $1", first)
        await store.check()

        assert store.epoch == first
    assert [each.getMessage() for each in caplog.records] == ["database identity changed"] * 3


async def test_concurrent_migrations_are_serialized() -> None:
    async with postgres_database() as url, administration(url) as admin:
        await admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

        await asyncio.gather(*[migrate_postgres(url) for _ in range(4)])

        async with opened(url) as store:
            assert (await store.messages.append(draft(ROOM))).message.seq == 1
