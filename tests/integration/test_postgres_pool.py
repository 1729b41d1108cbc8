"""The pool of sessions with PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from socketio_app.adapters.sql.postgres import pool as postgres_pool
from socketio_app.adapters.sql.postgres import session as postgres_session
from socketio_app.adapters.sql.postgres.pool import MAX_SESSIONS, PostgresPool
from socketio_app.adapters.sql.postgres.session import Connector
from socketio_app.adapters.sql.postgres.url import parse_postgres_url
from socketio_app.domain.errors import Unavailable
from tests.databases import postgres_database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool() -> AsyncIterator[PostgresPool]:
    async with postgres_database() as url:
        connector = Connector(parse_postgres_url(url))
        pool = PostgresPool(connector)
        await pool.open()
        yield pool
        await pool.close()
        await connector.close()


class Holders:
    """Callers that each hold a session until `release`."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool
        self._released = asyncio.Event()
        self.tasks: list[asyncio.Task[int]] = []
        self.holding = 0

    async def hold(self, count: int) -> None:
        """Start callers, and wait until as many as possible hold a session."""
        self.tasks += [asyncio.create_task(self._hold()) for _ in range(count)]
        while self.holding < min(len(self.tasks), MAX_SESSIONS):
            await asyncio.sleep(0.001)

    async def release(self) -> list[int]:
        """End all callers; return the process ids of their server processes."""
        self._released.set()
        return await asyncio.gather(*self.tasks)

    async def _hold(self) -> int:
        async with self._pool.connection() as connection:
            self.holding += 1
            process: int = await connection.fetchval("SELECT pg_backend_pid()")
            await self._released.wait()
        return process


async def process(pool: PostgresPool) -> int:
    """Return the process id of the server process of the next session."""
    async with pool.connection() as connection:
        found: int = await connection.fetchval("SELECT pg_backend_pid()")
        return found


async def assert_all_sessions_are_available(pool: PostgresPool) -> None:
    holders = Holders(pool)
    await holders.hold(MAX_SESSIONS)
    assert len(set(await holders.release())) == MAX_SESSIONS


async def test_number_of_sessions_is_limited(pool: PostgresPool) -> None:
    holders = Holders(pool)

    await holders.hold(5 * MAX_SESSIONS)
    processes = await holders.release()

    assert len(processes) == 5 * MAX_SESSIONS
    assert len(set(processes)) == MAX_SESSIONS


async def test_most_recently_used_session_is_acquired_first(pool: PostgresPool) -> None:
    await assert_all_sessions_are_available(pool)

    assert len({await process(pool) for _ in range(5)}) == 1


async def test_cancelled_waiters_lose_no_session(pool: PostgresPool) -> None:
    holders = Holders(pool)
    await holders.hold(MAX_SESSIONS)
    waiting = [asyncio.create_task(process(pool)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)

    await holders.release()

    assert all(task.cancelled() for task in waiting)
    await assert_all_sessions_are_available(pool)


async def test_waiter_that_is_cancelled_after_it_got_a_session_returns_it(
    pool: PostgresPool,
) -> None:
    holders = Holders(pool)
    await holders.hold(MAX_SESSIONS - 1)
    async with pool.connection():
        waiting = asyncio.create_task(process(pool))
        while not pool._waiting:
            await asyncio.sleep(0)
        (waiter,) = pool._waiting
    assert waiter.done()
    waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    await holders.release()
    await assert_all_sessions_are_available(pool)


async def test_caller_over_the_limit_is_rejected_and_waiting_ones_are_not(
    pool: PostgresPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "MAX_WAITING", 2)
    holders = Holders(pool)
    await holders.hold(MAX_SESSIONS)
    waiting = [asyncio.create_task(process(pool)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await process(pool)

    await holders.release()
    assert len(await asyncio.gather(*waiting)) == 2


async def test_waiting_for_a_session_times_out(
    pool: PostgresPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "WAIT_TIMEOUT_SECONDS", 0.05)
    holders = Holders(pool)
    await holders.hold(MAX_SESSIONS)

    with pytest.raises(Unavailable):
        await process(pool)

    await holders.release()
    await assert_all_sessions_are_available(pool)


async def test_session_that_was_idle_for_too_long_is_replaced(
    pool: PostgresPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await process(pool)
    assert await process(pool) == first

    monkeypatch.setattr(postgres_session, "MAX_IDLE_SECONDS", 0.0)

    assert await process(pool) != first


async def test_session_is_reused_after_an_error_of_its_caller(pool: PostgresPool) -> None:
    async def fail() -> None:
        async with pool.transaction() as connection:
            await connection.execute("INSERT INTO chat_store (id, epoch) VALUES (2, 'other')")
            raise LookupError

    before = await process(pool)
    with pytest.raises(LookupError):
        await fail()

    async with pool.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM chat_store") == 1
        assert not connection.is_in_transaction()
    assert await process(pool) == before


async def test_session_of_a_cancelled_caller_is_not_reused(pool: PostgresPool) -> None:
    before = await process(pool)
    task = asyncio.create_task(sleep(pool))
    await asyncio.sleep(0.05)

    task.cancel()
    await asyncio.wait([task])

    assert await process(pool) != before
    await assert_all_sessions_are_available(pool)


async def sleep(pool: PostgresPool) -> None:
    async with pool.transaction() as connection:
        await connection.execute("SELECT pg_sleep(30)")


async def test_connection_that_does_not_close_is_terminated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_session, "DISCONNECT_TIMEOUT_SECONDS", 0.01)
    async with postgres_database() as url:
        connector = Connector(parse_postgres_url(url))
        session = await connector.open()
        connection = session.connection

        async def close(_connection: object, **_options: object) -> None:
            await asyncio.Event().wait()

        with monkeypatch.context() as patched:
            patched.setattr(asyncpg.Connection, "close", close)
            connector.end(session)
            await connector.close()

        assert connection.is_closed()


async def test_pool_opens_at_most_as_many_sessions_as_configured() -> None:
    async with postgres_database() as url:
        connector = Connector(parse_postgres_url(url))
        pool = PostgresPool(connector, max_sessions=2)
        await pool.open()
        release = asyncio.Event()

        async def hold() -> int:
            async with pool.connection() as connection:
                found: int = await connection.fetchval("SELECT pg_backend_pid()")
                await release.wait()
            return found

        holders = [asyncio.create_task(hold()) for _ in range(6)]
        release.set()

        assert len(set(await asyncio.gather(*holders))) == 2
        await pool.close()
        await connector.close()
