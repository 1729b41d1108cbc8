"""Sessions with PostgreSQL: how each is opened and set up, and what its failures mean.

A pooler such as PgBouncer in transaction mode lends its connections for a transaction each. There,
a setting or a prepared statement that outlives the transaction is part of another's session next.
So the settings that a session of one's own gets once, a pooled one gets in each transaction, and
its statements have no names.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, TypeAlias

import asyncpg
import attrs

from socketio_app.adapters.sql.postgres.url import ConnectionParameters
from socketio_app.application.cancellation import start_task

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

ANSWER_TIMEOUT_SECONDS = 10.0
"""Maximum time to wait for an answer. Longer than `statement_timeout`: the server gives up first,
so that nothing is stored after its sender was told that it was not."""

DEFAULT_SETTINGS: Mapping[str, str] = {
    "statement_timeout": "8s",
    "lock_timeout": "0",
    # A process that stops in the middle of a transaction must not keep its locks from the others.
    "idle_in_transaction_session_timeout": "8s",
    # The statements are short and run often: compiling one costs more than running it.
    "jit": "off",
}
"""Settings of each session that the URL may set otherwise."""

REQUIRED_SETTINGS: Mapping[str, str] = {
    # At any other level, transactions that wait for one another's locks fail.
    "default_transaction_isolation": "read committed",
}

MAX_CACHED_STATEMENTS = 100

MAX_IDLE_SECONDS = 300.0
"""Maximum time without use after which a session is not trusted any more: firewalls forget."""


RECONNECT_SECONDS = 1.0
"""Minimum time between two moments at which all sessions are given up at once."""

DISCONNECT_TIMEOUT_SECONDS = 5.0


class ConnectFailedError(ConnectionError):
    """The database cannot be reached, or rejects the login.

    The message is one line, and holds no secret.
    """


_BROKEN = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # as when a connection ends in the middle of an answer
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
)
"""Failures after which a session is in an unknown state."""

_NEXT_SERVER = (
    OSError,
    TimeoutError,
    asyncpg.exceptions.CannotConnectNowError,
    asyncpg.exceptions.TargetServerAttributeNotMatched,
)
"""Failures to connect after which another server may do."""

UNAVAILABLE = (
    *_BROKEN,
    asyncpg.exceptions.InsufficientPrivilegeError,
    asyncpg.exceptions.InsufficientResourcesError,  # a full disk is among these
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.PostgresSystemError,
)
"""Failures with which the store is `unavailable`. Any other error is a fault of the program."""


class _UnnamedStatements(asyncpg.Connection):
    """A connection whose prepared statements have no names, SQLAlchemy's neither."""

    async def prepare(self, query: str, **options: Any) -> Any:
        """Prepare a statement, and give it no name, whatever the caller says."""
        return await super().prepare(query, **{**options, "name": ""})


@attrs.define(eq=False)
class Session:
    """An open connection, set up."""

    connection: Connection
    is_pooled: bool
    """Whether a pooler lends it for each transaction anew."""
    generation: int
    _begin: str
    used_at: float = attrs.field(factory=monotonic)

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """The connection, for statements that are a transaction each."""
        if self.is_pooled:
            async with self.transaction() as connection:
                yield connection
        else:
            yield self.connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """The connection in a transaction, committed at the end."""
        await self.connection.execute(self._begin)
        try:
            yield self.connection
        except _BROKEN:
            raise
        except Exception:
            if not self.connection.is_closed():
                await self.connection.execute("ROLLBACK")
            raise
        await self.connection.execute("COMMIT")


class Connector:
    """Opens and ends sessions with one database."""

    def __init__(
        self,
        parameters: ConnectionParameters,
        *,
        answer_timeout_seconds: float | None = ANSWER_TIMEOUT_SECONDS,
    ) -> None:
        self._parameters = parameters
        self._answer_timeout_seconds = answer_timeout_seconds
        self._sessions: set[Session] = set()
        self._servers = list(parameters.servers)
        self._is_pooled = bool(parameters.is_pooled)
        self._generation = 0
        """Sessions of an earlier one are with a server that may be the wrong one."""
        self._expired_at = -RECONNECT_SECONDS
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self, settings: Mapping[str, str] | None = None) -> Session:
        """Open a session.

        Args:
            settings: More settings of the session.

        Raises:
            ConnectFailedError: The database cannot be reached, or rejects the login.
        """
        try:
            session = await self._open(settings or {})
        except (*UNAVAILABLE, asyncpg.PostgresError, ValueError) as error:
            reason = _reason(error, self._parameters)
            raise ConnectFailedError(f"cannot connect to the database: {reason}") from error
        self._sessions.add(session)
        return session

    def is_usable(self, session: Session) -> bool:
        """Whether a session that was idle can be expected to work."""
        return (
            session.generation == self._generation
            and not session.connection.is_closed()
            and monotonic() - session.used_at < MAX_IDLE_SECONDS
        )

    def survives(self, session: Session, error: BaseException | None) -> bool:
        """Whether a session can be used again after what it was used for has ended.

        If not, it is ended.
        """
        if isinstance(error, asyncpg.exceptions.ReadOnlySQLTransactionError):
            self._expire(session)
        elif error is None or not (isinstance(error, _BROKEN) or not isinstance(error, Exception)):
            session.used_at = monotonic()
            if self.is_usable(session):
                return True
        self.end(session)
        return False

    def end(self, session: Session) -> None:
        """End a session; what it runs is canceled on the server."""
        self._sessions.discard(session)
        if session.connection.is_closed():
            session.connection.terminate()
            return
        task = start_task(_disconnect(session.connection))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Wait until the sessions that are being ended are gone, and terminate all others."""
        while self._ending:
            await asyncio.wait(self._ending)
        self.terminate()

    def terminate(self) -> None:
        """Disconnect every session at once, whatever it is doing."""
        for session in self._sessions:
            session.connection.terminate()
        self._sessions.clear()

    def _expire(self, session: Session) -> None:
        """Give up all sessions that are as old as this one: there may be another server now."""
        now = monotonic()
        if session.generation == self._generation and now - self._expired_at >= RECONNECT_SECONDS:
            self._generation += 1
            self._expired_at = now

    async def _open(self, more: Mapping[str, str]) -> Session:
        generation = self._generation
        connection = await self._connect()
        try:
            if await self._is_lent(connection):
                self._is_pooled = True
                connection.terminate()
                connection = await self._connect()
            given = self._parameters.session_settings
            settings = {**DEFAULT_SETTINGS, **given, **more, **REQUIRED_SETTINGS}
            if self._is_pooled:
                begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; {_set(settings, is_local='true')}"
                await _look_up_types(connection, begin)
            else:
                begin = "BEGIN"
                await connection.execute(_set(settings, is_local="false"))
        except BaseException:
            connection.terminate()
            raise
        return Session(connection, self._is_pooled, generation, begin)

    async def _connect(self) -> Connection:
        """Connect to the first server that takes connections.

        The next time the same one is tried first: there may be no answer from those before it.
        """
        failure: Exception | None = None
        for server in tuple(self._servers):
            try:
                connection = await self._connect_to(server)
            except _NEXT_SERVER as error:
                failure = error
            else:
                self._servers.sort(key=lambda each: each != server)  # it comes first now
                return connection
        assert failure is not None  # noqa: S101  (there is at least one server)
        raise failure

    async def _connect_to(self, server: tuple[str | None, int | None]) -> Connection:
        host, port = server
        return await asyncpg.connect(
            **self._parameters.connect_arguments(),
            host=host,
            port=port,
            command_timeout=self._answer_timeout_seconds,
            statement_cache_size=0 if self._is_pooled else MAX_CACHED_STATEMENTS,
            connection_class=_UnnamedStatements if self._is_pooled else asyncpg.Connection,
        )

    async def _is_lent(self, connection: Connection) -> bool:
        """Whether a pooler is in between that was not expected.

        It makes up the process id that it gives at login.
        """
        if self._is_pooled or self._parameters.is_pooled is False:
            return False
        await connection.execute("BEGIN")
        statement = await connection.prepare("SELECT pg_backend_pid()", name="")
        process_id: int = await statement.fetchval()
        await connection.execute("COMMIT")
        return process_id != connection.get_server_pid()


async def _look_up_types(connection: Connection, begin: str) -> None:
    """Have the driver look up the types of the store's arguments, which it does once.

    It turns off a setting of the session for that, which the end of this transaction undoes.
    """
    await connection.execute(begin)
    await connection.fetch("SELECT $1::bytea[], $2::bigint[], $3::boolean[]", [], [], [])
    await connection.execute("ROLLBACK")


async def _disconnect(connection: Connection) -> None:
    try:
        await connection.close(timeout=DISCONNECT_TIMEOUT_SECONDS)
    except (*UNAVAILABLE, asyncpg.PostgresError):
        connection.terminate()


def _set(settings: Mapping[str, str], *, is_local: str) -> str:
    calls = [
        f"set_config({_literal(name)}, {_literal(value)}, {is_local})"
        for name, value in settings.items()
    ]
    return f"SELECT {', '.join(calls)}"


def _literal(value: str) -> str:
    escaped = value.replace("\\", r"\\").replace("'", "''")
    return f"E'{escaped}'"


def _reason(error: BaseException, parameters: ConnectionParameters) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer within {parameters.connect_timeout_seconds:g} seconds"
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
