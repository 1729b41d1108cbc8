"""Lends sessions with PostgreSQL, and says what it means when there are none."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
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
"""Maximum number of sessions; beyond, callers wait for one in their order."""

MAX_WAITING = 20_000
"""Maximum number of callers that wait for a session; any more are refused as `unavailable`."""

WAIT_TIMEOUT_SECONDS = 10.0
"""Maximum time to wait for a session."""


class PostgresPool:
    """The sessions that everything but appending shares.

    They are opened when they are needed, and again when they were lost. The one that was used last
    is lent first, so that those that are not needed grow old.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._idle: list[Session] = []
        self._waiting: deque[asyncio.Future[Session | None]] = deque()
        """Each is given a session, or else the right to open one."""
        self._count = 0
        self._is_open = False

    async def open(self) -> None:
        """Connect.

        Raises:
            ConnectFailedError: The database cannot be reached, or rejects the login.
        """
        self._is_open = True
        self._count += 1
        self._give_back(await self._open_session())

    async def close(self) -> None:
        """Disconnect."""
        self._is_open = False
        while self._idle:
            self._connector.end(self._idle.pop())
            self._count -= 1

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection, for one statement: that is a transaction of its own.

        Raises:
            Unavailable: The database was lost. Nothing was stored; except that, if it was lost in
                the very moment of the commit, it may have been: a retry finds out.
        """
        try:
            async with self._session() as session, session.statement() as connection:
                yield connection
        except UNAVAILABLE as error:
            raise Unavailable("the database cannot be reached now") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction, committed at the end.

        Raises:
            Unavailable: As for `connection`.
        """
        try:
            async with self._session() as session, session.transaction() as connection:
                yield connection
        except UNAVAILABLE as error:
            raise Unavailable("the database cannot be reached now") from error

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        if not self._is_open:
            raise RuntimeError("the store was not started: serve the application's lifespan")
        session = await self._borrow()
        try:
            yield session
        except BaseException as error:
            self._take_back(session, error)
            raise
        self._take_back(session, None)

    async def _borrow(self) -> Session:
        while self._idle:
            session = self._idle.pop()
            if self._connector.is_usable(session):
                return session
            self._connector.end(session)
            self._count -= 1
        if self._count < MAX_SESSIONS:
            self._count += 1
            return await self._open_session()
        return await self._wait() or await self._open_session()

    async def _open_session(self) -> Session:
        """Open a session that is counted already."""
        try:
            return await self._connector.open()
        except BaseException:
            self._free()
            raise

    async def _wait(self) -> Session | None:
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("the store has too much to do")
        waiter: asyncio.Future[Session | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(WAIT_TIMEOUT_SECONDS):
                return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                session = waiter.result()
                if session is None:
                    self._free()
                else:
                    self._give_back(session)
            else:
                with suppress(ValueError):  # whoever lends has passed it over already
                    self._waiting.remove(waiter)
            raise

    def _take_back(self, session: Session, error: BaseException | None) -> None:
        if self._connector.survives(session, error):
            self._give_back(session)
        else:
            self._free()

    def _give_back(self, session: Session) -> None:
        """Lend a session to the one that waits longest, or keep it."""
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(session)
        elif self._is_open:
            self._idle.append(session)
        else:
            self._connector.end(session)
            self._count -= 1

    def _free(self) -> None:
        """Let the one that waits longest open a session in the place of one that is gone."""
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
    """A session that one user of it keeps: it waits for nobody.

    It is opened when it is needed, and again when it was lost.
    """

    def __init__(self, connector: Connector, settings: Mapping[str, str]) -> None:
        self._connector = connector
        self._settings = settings
        self._session: Session | None = None

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """The connection, for statements that are a transaction each.

        Raises:
            Unavailable: As for `PostgresPool.connection`.
        """
        try:
            session = await self._take()
            try:
                async with session.statement() as connection:
                    yield connection
            except BaseException as error:
                if self._connector.survives(session, error):
                    self._session = session
                raise
            if self._connector.survives(session, None):
                self._session = session
        except UNAVAILABLE as error:
            raise Unavailable("the database cannot be reached now") from error

    async def close(self) -> None:
        """Disconnect."""
        session, self._session = self._session, None
        if session is not None:
            self._connector.end(session)

    async def _take(self) -> Session:
        session, self._session = self._session, None
        if session is not None:
            if self._connector.is_usable(session):
                return session
            self._connector.end(session)
        return await self._connector.open(self._settings)


async def fetch(
    connection: Connection, statement: Statement, *arguments: bytes | int | None
) -> Sequence[Any]:
    """Run a shared statement; return its rows."""
    sql, values = statement.text(*arguments)
    return await connection.fetch(sql, *values)
