"""Connections of the host application: what they are, and when their transactions end.

SQLAlchemy announces a commit before it happens, and nothing afterwards: a session's `after_commit`
also follows commits that an outer transaction of the connection can still roll back. The listener
of a commit therefore gets a function that tells whether it is over.
"""

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet, ref

import attrs
from sqlalchemy import Connection, event
from sqlalchemy.engine import Transaction
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from socketio_app.application.calling_thread import calling_thread
from socketio_app.application.outbox import HostConnectionError, OnCommit
from socketio_app.domain.identifiers import MessageId

Result = TypeVar("Result")

_IDLE = 0
"""`psycopg.pq.TransactionStatus.IDLE`; libpq's value."""


async def run_on(given: object, write: Callable[[Connection], Result]) -> Result:
    """Run a function with the connection of a session, or with a connection itself.

    A synchronous one is used in the thread that waits for this call (`calling_thread`).

    Raises:
        HostConnectionError: it is neither, or synchronous, and no thread waits.
    """
    if isinstance(given, AsyncSession | async_scoped_session):
        given = await given.connection()
    if isinstance(given, AsyncConnection):
        return await given.run_sync(write)
    name = f"{type(given).__module__}.{type(given).__qualname__}"
    if not isinstance(given, Session | scoped_session | Connection):
        raise HostConnectionError(
            "connection must be a session or connection of SQLAlchemy, such as AsyncSession, not "
            f"{name}"
        )
    thread = calling_thread()
    if thread is None:
        raise HostConnectionError(
            f"connection is synchronous ({name}): call chat.from_thread.send in the `def` route or "
            "thread that uses it, or use AsyncSession"
        )
    synchronous = given
    return await thread.run(lambda: write(_connection_of(synchronous)))


def _connection_of(given: "Session | scoped_session[Session] | Connection") -> Connection:
    return given if isinstance(given, Connection) else given.connection()


def is_in_transaction(connection: Connection) -> bool:
    """Whether a connection that has executed a statement is in a transaction.

    It is not if the host has set the isolation level AUTOCOMMIT. SQLAlchemy does not tell; its
    `in_transaction` is also true then.
    """
    driver: Any = connection.connection.driver_connection
    if hasattr(driver, "is_in_transaction"):  # asyncpg
        return bool(driver.is_in_transaction())
    if hasattr(driver, "in_transaction"):  # aiosqlite, sqlite3
        return bool(driver.in_transaction)
    return bool(driver.info.transaction_status != _IDLE)  # psycopg


@attrs.define
class _Watched:
    transaction: "ref[Transaction]"
    # Weak, so that a connection which the host forgets to close can be collected.
    on_commit: OnCommit
    message_ids: list[MessageId] = attrs.field(factory=list)


class CommitWatch:
    """Calls back when the transactions that stored messages are committed.

    Args:
        includes_rollbacks: whether to call back for transactions that are rolled back as well.
    """

    def __init__(self, *, includes_rollbacks: bool) -> None:
        self._includes_rollbacks = includes_rollbacks
        self._watched: WeakKeyDictionary[Connection, _Watched] = WeakKeyDictionary()
        self._listening: WeakSet[Connection] = WeakSet()

    def add(self, connection: Connection, message_id: MessageId, on_commit: OnCommit) -> None:
        """Call back when the connection's current transaction is committed."""
        transaction = connection.get_transaction()
        assert transaction is not None  # noqa: S101  (a statement begins one)
        watched = self._watched.get(connection)
        if watched is None or watched.transaction() is not transaction:
            watched = self._watched[connection] = _Watched(ref(transaction), on_commit)
            self._listen(connection)
        watched.message_ids.append(message_id)

    def _listen(self, connection: Connection) -> None:
        if connection in self._listening:
            return
        self._listening.add(connection)
        listeners: dict[str, Callable[..., None]] = {
            "commit": self._commit,
            "commit_twophase": self._commit,
            "rollback": self._roll_back,
            "rollback_twophase": self._roll_back,
        }
        for name, listener in listeners.items():
            event.listen(connection, name, listener)

    def _commit(self, connection: Connection, *_twophase: object) -> None:
        self._announce(connection)

    def _roll_back(self, connection: Connection, *_twophase: object) -> None:
        if self._includes_rollbacks:
            self._announce(connection)
        else:
            self._watched.pop(connection, None)

    def _announce(self, connection: Connection) -> None:
        watched = self._watched.pop(connection, None)
        if watched is not None:
            transaction = watched.transaction()
            watched.on_commit(
                watched.message_ids, lambda: transaction is None or not transaction.is_active
            )
