"""A pool of sessions with PostgreSQL, and a connection outside of it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from socketio_app.adapters.sql.postgres.session import (
    UNAVAILABLE,
    Connection,
    Connector,
    Session,
)
from socketio_app.adapters.sql.postgres.statements import Statement
from socketio_app.domain.errors import Unavailable

MAX_SESSIONS = 10
"""Default for the maximum number of sessions; further callers wait for one, in order."""

MAX_WAITING = 20_000
"""Maximum number of callers that wait for a session; further ones get `Unavailable`."""

WAIT_TIMEOUT_SECONDS = 10.0
"""Maximum time to wait for a session."""


class PostgresPool:
    """The sessions for everything except appends.

    Sessions are opened on demand, and replaced when they are lost. The most recently used session
    is acquired first, so that unneeded ones reach the maximum idle time.
    """

    def __init__(self, connector: Connector, max_sessions: int = MAX_SESSIONS) -> None:
        self._connector = connector
        self._max_sessions = max_sessions
        self._idle: list[Session] = []
        self._waiting: deque[asyncio.Future[Session | None]] = deque()
        """Waiting callers. Each gets a session, or `None` and may open one."""
        self._count = 0
        self._is_open = False

    async def open(self) -> None:
        """Open the first session.

        Raises:
            ConnectFailedError: the database cannot be reached, or rejects the login.
        """
        self._is_open = True
        self._count += 1
        self._make_available(await self._open_session())

    async def close(self) -> None:
        """Close all idle sessions; others are closed when they are released."""
        self._is_open = False
        while self._idle:
            self._connector.end(self._idle.pop())
            self._count -= 1

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Acquire a connection for one statement, which is a transaction of its own.

        Raises:
            Unavailable: the database cannot be reached. Nothing was stored, unless the connection
                was lost during the commit; a retry then finds out.
        """
        try:
            async with self._session() as session, session.statement() as connection:
                yield connection
        except UNAVAILABLE as error:
            raise Unavailable("cannot reach the database") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Acquire a connection in a transaction, which is committed at the end.

        Raises:
            Unavailable: as for `connection`.
        """
        try:
            async with self._session() as session, session.transaction() as connection:
                yield connection
        except UNAVAILABLE as error:
            raise Unavailable("cannot reach the database") from error

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        if not self._is_open:
            raise RuntimeError("the store was not started: run the application's lifespan")
        session = await self._acquire()
        try:
            yield session
        except BaseException as error:
            self._release(session, error)
            raise
        self._release(session, None)

    async def _acquire(self) -> Session:
        while self._idle:
            session = self._idle.pop()
            if self._connector.is_usable(session):
                return session
            self._connector.end(session)
            self._count -= 1
        if self._count < self._max_sessions:
            self._count += 1
            return await self._open_session()
        return await self._wait() or await self._open_session()

    async def _open_session(self) -> Session:
        """Open a session, which is counted already."""
        try:
            return await self._connector.open()
        except BaseException:
            self._release_slot()
            raise

    async def _wait(self) -> Session | None:
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("the store is overloaded")
        waiter: asyncio.Future[Session | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(WAIT_TIMEOUT_SECONDS):
                return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                session = waiter.result()
                if session is None:
                    self._release_slot()
                else:
                    self._make_available(session)
            else:
                with suppress(ValueError):  # the releasing caller has removed it already
                    self._waiting.remove(waiter)
            raise

    def _release(self, session: Session, error: BaseException | None) -> None:
        if self._connector.can_reuse(session, error):
            self._make_available(session)
        else:
            self._release_slot()

    def _make_available(self, session: Session) -> None:
        """Give a session to the first waiting caller, or make it idle."""
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(session)
        elif self._is_open:
            self._idle.append(session)
        else:
            self._connector.end(session)
            self._count -= 1

    def _release_slot(self) -> None:
        """Let the first waiting caller open a session in place of one that was closed."""
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)
        else:
            self._count -= 1

    def _next_waiter(self) -> "asyncio.Future[Session | None] | None":
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None


class PostgresConnection:
    """A session outside of the pool, for one user that must not wait for others.

    It is opened on demand, and replaced when it is lost.
    """

    def __init__(
        self,
        connector: Connector,
        settings: Mapping[str, str],
        on_open: Callable[[Session], Awaitable[None]],
    ) -> None:
        self._connector = connector
        self._settings = settings
        self._on_open = on_open
        self._session: Session | None = None

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """Acquire the connection for statements that are a transaction each.

        Raises:
            Unavailable: as for `PostgresPool.connection`.
        """
        try:
            session = await self._acquire()
            try:
                async with session.statement() as connection:
                    yield connection
            except BaseException as error:
                if self._connector.can_reuse(session, error):
                    self._session = session
                raise
            if self._connector.can_reuse(session, None):
                self._session = session
        except UNAVAILABLE as error:
            raise Unavailable("cannot reach the database") from error

    async def close(self) -> None:
        """Disconnect."""
        session, self._session = self._session, None
        if session is not None:
            self._connector.end(session)

    async def _acquire(self) -> Session:
        session, self._session = self._session, None
        if session is not None:
            if self._connector.is_usable(session):
                return session
            self._connector.end(session)
        session = await self._connector.open(self._settings)
        try:
            await self._on_open(session)
        except BaseException:
            self._connector.end(session)
            raise
        return session


async def fetch(
    connection: Connection, statement: Statement, *arguments: bytes | int | None
) -> Sequence[Any]:
    """Run a shared statement and return its rows."""
    sql, values = statement.text(*arguments)
    return await connection.fetch(sql, *values)
