"""Sessions with PostgreSQL: opening, setup, and the meaning of failures.

A pooler such as PgBouncer in transaction mode assigns a server connection to each transaction.
Settings and prepared statements that outlive the transaction would leak into the sessions of other
clients. Settings are therefore applied once to a direct session, but in each transaction of a
pooled one, and the prepared statements of a pooled session have no names.
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
from socketio_app.application.store_capabilities import StoreError

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

ANSWER_TIMEOUT_SECONDS = 10.0
"""Maximum time to wait for an answer. Longer than `statement_timeout`, so that the server times out
first, and nothing is stored after the client got an error."""

DEFAULT_SETTINGS: Mapping[str, str] = {
    "statement_timeout": "8s",
    "lock_timeout": "0",
    # A process that hangs in the middle of a transaction must not hold its locks.
    "idle_in_transaction_session_timeout": "8s",
    # Statements are short: JIT compilation would cost more than running them.
    "jit": "off",
}
"""Settings of each session that the URL can override."""

REQUIRED_SETTINGS: Mapping[str, str] = {
    # At any other level, transactions that wait for each other's locks fail.
    "default_transaction_isolation": "read committed",
}

MAX_CACHED_STATEMENTS = 100

MAX_IDLE_SECONDS = 300.0
"""Maximum idle time of a session; firewalls may drop idle connections."""


RECONNECT_SECONDS = 1.0
"""Minimum time between two replacements of all sessions."""

DISCONNECT_TIMEOUT_SECONDS = 5.0


class ConnectFailedError(StoreError, ConnectionError):
    """The database cannot be reached, or rejects the login.

    The message is one line without secrets.
    """


_BROKEN = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # e.g. the connection was lost in the middle of an answer
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
"""Failures to connect after which the next server is tried."""

UNAVAILABLE = (
    *_BROKEN,
    asyncpg.exceptions.InsufficientPrivilegeError,
    asyncpg.exceptions.InsufficientResourcesError,  # includes a full disk
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.PostgresSystemError,
)
"""Failures that make the store `unavailable`. Any other error is a bug."""


class _UnnamedStatements(asyncpg.Connection):
    """A connection with unnamed prepared statements only, including those of SQLAlchemy."""

    async def prepare(self, query: str, **options: Any) -> Any:
        """Prepare an unnamed statement, whatever name the caller passes."""
        return await super().prepare(query, **{**options, "name": ""})


@attrs.define(eq=False)
class Session:
    """An open connection with its settings applied."""

    connection: Connection
    is_pooled: bool
    """Whether a pooler assigns a server connection to each transaction."""
    generation: int
    _begin: str
    used_at: float = attrs.field(factory=monotonic)

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """Yield the connection for statements that are a transaction each."""
        if self.is_pooled:
            async with self.transaction() as connection:
                yield connection
        else:
            yield self.connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Yield the connection in a transaction, which is committed at the end."""
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
    """Opens and closes sessions with one database."""

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
        """Sessions of an earlier generation may be connected to the wrong server."""
        self._expired_at = -RECONNECT_SECONDS
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self, settings: Mapping[str, str] | None = None) -> Session:
        """Open a session.

        Args:
            settings: additional settings of the session.

        Raises:
            ConnectFailedError: the database cannot be reached, or rejects the login.
        """
        try:
            session = await self._open(settings or {})
        except (*UNAVAILABLE, asyncpg.PostgresError, ValueError) as error:
            reason = _reason(error, self._parameters)
            raise ConnectFailedError(f"cannot connect to the database: {reason}") from error
        self._sessions.add(session)
        return session

    def is_usable(self, session: Session) -> bool:
        """Whether an idle session is expected to work."""
        return (
            session.generation == self._generation
            and not session.connection.is_closed()
            and monotonic() - session.used_at < MAX_IDLE_SECONDS
        )

    def can_reuse(self, session: Session, error: BaseException | None) -> bool:
        """Return whether a session can be reused after it was used; close it if not.

        `error` is the exception that ended the use, if any.
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
        """Close a session; a running statement is cancelled on the server."""
        self._sessions.discard(session)
        if session.connection.is_closed():
            session.connection.terminate()
            return
        task = start_task(_disconnect(session.connection))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Wait for the sessions that are being closed, and terminate all others."""
        while self._ending:
            await asyncio.wait(self._ending)
        self.terminate()

    def terminate(self) -> None:
        """Close the connections of all sessions immediately."""
        for session in self._sessions:
            session.connection.terminate()
        self._sessions.clear()

    def _expire(self, session: Session) -> None:
        """Expire all sessions of this generation: another server may be the primary now."""
        now = monotonic()
        if session.generation == self._generation and now - self._expired_at >= RECONNECT_SECONDS:
            self._generation += 1
            self._expired_at = now

    async def _open(self, more: Mapping[str, str]) -> Session:
        generation = self._generation
        connection = await self._connect()
        try:
            if await self._is_behind_pooler(connection):
                self._is_pooled = True
                connection.terminate()
                connection = await self._connect()
            from_url = self._parameters.session_settings
            settings = {**DEFAULT_SETTINGS, **from_url, **more, **REQUIRED_SETTINGS}
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
        """Connect to the first server that accepts connections.

        It is tried first next time, because the servers before it may time out.
        """
        failure: Exception | None = None
        for server in tuple(self._servers):
            try:
                connection = await self._connect_to(server)
            except _NEXT_SERVER as error:
                failure = error
            else:
                self._servers.sort(key=lambda each: each != server)  # tried first next time
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

    async def _is_behind_pooler(self, connection: Connection) -> bool:
        """Whether there is a pooler that the URL does not mention.

        A pooler sends a made-up process id at login.
        """
        if self._is_pooled or self._parameters.is_pooled is False:
            return False
        await connection.execute("BEGIN")
        statement = await connection.prepare("SELECT pg_backend_pid()", name="")
        process_id: int = await statement.fetchval()
        await connection.execute("COMMIT")
        return process_id != connection.get_server_pid()


async def _look_up_types(connection: Connection, begin: str) -> None:
    """Make the driver look up the types of the statements' arguments, which it caches.

    The driver turns off a setting of the session for that; the rollback restores it.
    """
    await connection.execute(begin)
    await connection.fetch("SELECT $1::bytea[], $2::bigint[], $3::boolean[]", [], [], [])
    await connection.execute("ROLLBACK")


async def _disconnect(connection: Connection) -> None:
    try:
        # The driver's own time-out does not include its wait for a statement that was cancelled.
        async with asyncio.timeout(DISCONNECT_TIMEOUT_SECONDS):
            await connection.close()
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
