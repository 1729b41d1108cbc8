"""How sessions with PostgreSQL are lent."""

import asyncio
from collections.abc import AsyncIterator

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
    """Callers that hold a session each until they are released."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool
        self._released = asyncio.Event()
        self.tasks: list[asyncio.Task[int]] = []
        self.holding = 0

    async def hold(self, count: int) -> None:
        """Start callers, and wait until as many hold a session as there are."""
        self.tasks += [asyncio.create_task(self._hold()) for _ in range(count)]
        while self.holding < min(len(self.tasks), MAX_SESSIONS):
            await asyncio.sleep(0.001)

    async def release(self) -> list[int]:
        """Let every caller end; return the processes of the server that served them."""
        self._released.set()
        return await asyncio.gather(*self.tasks)

    async def _hold(self) -> int:
        async with self._pool.connection() as connection:
            self.holding += 1
            process: int = await connection.fetchval("SELECT pg_backend_pid()")
            await self._released.wait()
        return process


async def process(pool: PostgresPool) -> int:
    """The server's process of the session that is lent next."""
    async with pool.connection() as connection:
        found: int = await connection.fetchval("SELECT pg_backend_pid()")
        return found


async def assert_all_sessions_can_be_lent(pool: PostgresPool) -> None:
    holders = Holders(pool)
    await holders.hold(MAX_SESSIONS)
    assert len(set(await holders.release())) == MAX_SESSIONS


async def test_many_callers_share_a_bounded_number_of_sessions(pool: PostgresPool) -> None:
    holders = Holders(pool)

    await holders.hold(5 * MAX_SESSIONS)
    processes = await holders.release()

    assert len(processes) == 5 * MAX_SESSIONS
    assert len(set(processes)) == MAX_SESSIONS


async def test_the_session_that_was_used_last_is_lent_first(pool: PostgresPool) -> None:
    await assert_all_sessions_can_be_lent(pool)

    assert len({await process(pool) for _ in range(5)}) == 1


async def test_callers_that_give_up_waiting_take_no_session_with_them(pool: PostgresPool) -> None:
    holders = Holders(pool)
    await holders.hold(MAX_SESSIONS)
    waiting = [asyncio.create_task(process(pool)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)

    await holders.release()

    assert all(task.cancelled() for task in waiting)
    await assert_all_sessions_can_be_lent(pool)


async def test_a_caller_that_gives_up_just_when_it_is_lent_a_session_gives_it_back(
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
    await assert_all_sessions_can_be_lent(pool)


async def test_over_the_bound_a_caller_is_refused_and_those_that_wait_are_not(
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


async def test_a_caller_waits_for_a_bounded_time(
    pool: PostgresPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "WAIT_TIMEOUT_SECONDS", 0.05)
    holders = Holders(pool)
    await holders.hold(MAX_SESSIONS)

    with pytest.raises(Unavailable):
        await process(pool)

    await holders.release()
    await assert_all_sessions_can_be_lent(pool)


async def test_a_session_that_was_idle_for_too_long_is_replaced(
    pool: PostgresPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await process(pool)
    assert await process(pool) == first

    monkeypatch.setattr(postgres_session, "MAX_IDLE_SECONDS", 0.0)

    assert await process(pool) != first


async def test_a_session_is_lent_again_after_an_error_of_its_user(pool: PostgresPool) -> None:
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


async def test_a_session_whose_user_is_cancelled_is_not_lent_again(pool: PostgresPool) -> None:
    before = await process(pool)
    task = asyncio.create_task(sleep(pool))
    await asyncio.sleep(0.05)

    task.cancel()
    await asyncio.wait([task])

    assert await process(pool) != before
    await assert_all_sessions_can_be_lent(pool)


async def sleep(pool: PostgresPool) -> None:
    async with pool.transaction() as connection:
        await connection.execute("SELECT pg_sleep(30)")
