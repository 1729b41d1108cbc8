"""Connections of the host application: what they are, and when their transactions end.

SQLAlchemy announces a commit before it happens, and nothing afterwards: a session's `after_commit`
also follows commits that an outer transaction of the connection can still roll back. The listener
of a commit therefore gets a function that tells whether it is over.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import attrs
from sqlalchemy import Connection, event
from sqlalchemy.engine import Transaction
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

from socketio_app.application.outbox import HostConnectionError, OnCommit
from socketio_app.domain.identifiers import MessageId

_IDLE = 0
"""`psycopg.pq.TransactionStatus.IDLE`; libpq's value."""


async def async_connection_of(given: object) -> AsyncConnection:
    """Return the connection of an `AsyncSession`, or an `AsyncConnection` itself.

    Raises:
        HostConnectionError: it is something else, or has no connection.
    """
    if isinstance(given, AsyncConnection):
        return given
    if isinstance(given, AsyncSession | async_scoped_session):
        return await given.connection()
    raise HostConnectionError(
        "connection must be an AsyncSession or AsyncConnection of SQLAlchemy, not "
        f"{type(given).__module__}.{type(given).__qualname__}"
    )


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
    transaction: Transaction | None
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

    def add(self, connection: Connection, message_id: MessageId, on_commit: OnCommit) -> None:
        """Call back when the connection's current transaction is committed."""
        transaction = connection.get_transaction()
        watched = self._watched.get(connection)
        if watched is None or watched.transaction is not transaction:
            watched = self._watched[connection] = _Watched(transaction, on_commit)
            self._listen(connection)
        watched.message_ids.append(message_id)

    def _listen(self, connection: Connection) -> None:
        listeners: dict[str, Callable[..., None]] = {
            "commit": self._commit,
            "commit_twophase": self._commit,
            "rollback": self._roll_back,
            "rollback_twophase": self._roll_back,
        }
        for name, listener in listeners.items():
            if not event.contains(connection, name, listener):
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
            transaction = watched.transaction
            watched.on_commit(
                watched.message_ids, lambda: transaction is None or not transaction.is_active
            )
