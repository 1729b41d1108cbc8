"""Connections to PostgreSQL, and what it means when there are none."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from socketio_app.adapters.sql.postgres_statements import Statement
from socketio_app.domain.errors import Unavailable

MOST_CONNECTIONS = 10
TIMEOUT_SECONDS = 10.0
"""How long the database may take to let us in, or to answer."""

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]"
"""A connection, lent by the pool or one's own."""

_GONE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # as when a connection ends in the middle of an answer
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.InsufficientResourcesError,  # a full disk is among these
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.PostgresSystemError,
)
"""The database cannot do it now; it may later. What else it says is a fault of ours."""


class PostgresPool:
    """The store's connections: opened when they are needed, and again when they were lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable: the database does not let us in.
        """
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=MOST_CONNECTIONS,
                timeout=TIMEOUT_SECONDS,
                command_timeout=TIMEOUT_SECONDS,
                # Nothing of ours outlasts its transaction: there is nothing to reset.
                reset=_leave_as_it_is,
            )
        except _GONE as error:
            raise Unavailable("the database does not answer") from error

    async def close(self) -> None:
        """Disconnect."""
        if self._pool is not None:
            await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection, for one statement: that is a transaction of its own.

        Raises:
            Unavailable: the database was lost. Nothing was stored; except that, lost in the very
                moment of the commit, it may have been: a retry finds out.
        """
        if self._pool is None:
            raise RuntimeError("the store was not started: serve the application's lifespan")
        try:
            async with self._pool.acquire(timeout=TIMEOUT_SECONDS) as connection:
                yield connection
        except _GONE as error:
            raise Unavailable("the database cannot be reached now") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction, committed at the end.

        Raises:
            Unavailable: as for `connection`.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection


class PostgresConnection:
    """A connection that one user of it keeps: nothing is spent on lending it.

    It is opened when it is needed, and again when it was lost.
    """

    def __init__(self, url: str, settings: Mapping[str, str]) -> None:
        self._url = url
        self._settings = "; ".join(f"SET {name} = {value}" for name, value in settings.items())
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    @asynccontextmanager
    async def statement(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """The connection, for one statement: that is a transaction of its own.

        Raises:
            Unavailable: as for `PostgresPool.connection`.
        """
        try:
            yield self._connection or await self._open()
        except _GONE as error:
            self._drop()
            raise Unavailable("the database cannot be reached now") from error
        except asyncpg.PostgresError:
            raise
        except BaseException:
            self._drop()  # who knows what it was in the middle of
            raise

    async def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        connection = await asyncpg.connect(
            self._url, timeout=TIMEOUT_SECONDS, command_timeout=TIMEOUT_SECONDS
        )
        await connection.execute(self._settings)
        self._connection = connection
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def _leave_as_it_is(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """What is done with a connection that comes back."""


async def fetch(
    connection: Connection, statement: Statement, *arguments: bytes | int | None
) -> Sequence[Any]:
    """Run a shared statement; return its rows."""
    sql, values = statement.text(*arguments)
    return await connection.fetch(sql, *values)
