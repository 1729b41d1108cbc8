"""The store in PostgreSQL, which several processes can share."""

import asyncpg

from socketio_app.adapters.sql.group_commit import AllTransactions
from socketio_app.adapters.sql.migrations import HEAD, VERSION_TABLE, SchemaError
from socketio_app.adapters.sql.postgres.activity import ActivityMarks, PostgresActivity
from socketio_app.adapters.sql.postgres.conversations import PostgresConversations
from socketio_app.adapters.sql.postgres.deliveries import PostgresDeliveries
from socketio_app.adapters.sql.postgres.epoch import Epoch
from socketio_app.adapters.sql.postgres.messages import PostgresMessages
from socketio_app.adapters.sql.postgres.outbox import PostgresOutbox
from socketio_app.adapters.sql.postgres.pool import MAX_SESSIONS, PostgresPool
from socketio_app.adapters.sql.postgres.rooms import PostgresRooms
from socketio_app.adapters.sql.postgres.session import Connector
from socketio_app.adapters.sql.postgres.url import parse_postgres_url
from socketio_app.application.store_capabilities import StoreCapabilities


class PostgresStore:
    """Implements `Store` in a PostgreSQL database."""

    def __init__(
        self,
        url: str,
        rooms_per_user: int,
        *,
        schema: str | None = None,
        max_sessions: int = MAX_SESSIONS,
    ) -> None:
        """Parse the URL; `start` connects.

        Args:
            url: a `postgresql://` URL.
            rooms_per_user: maximum number of rooms of a user.
            schema: schema of the tables, instead of the one in the URL or the database's default.
            max_sessions: maximum number of sessions, besides the one that appends messages.

        Raises:
            DatabaseUrlError: the URL is invalid.
        """
        self._connector = Connector(parse_postgres_url(url, schema))
        self._pool = PostgresPool(self._connector, max_sessions)
        self._marks = ActivityMarks(self._pool)
        self.messages = PostgresMessages(self._connector, self._pool)
        self._epoch = Epoch(on_change=self._forget)
        self.deliveries = PostgresDeliveries(self._pool, self._marks)
        self.conversations = PostgresConversations(self._pool)
        self.activity = PostgresActivity(self._pool, self._marks)
        self.rooms = PostgresRooms(self._pool, self._epoch, rooms_per_user)
        self._outbox = PostgresOutbox(self._pool, lambda: self.epoch)
        self.capabilities = StoreCapabilities(
            transactions=AllTransactions(self.messages.commits, self.deliveries.commits),
            append_queue=self.messages,
            outbox=self._outbox,
        )

    @property
    def epoch(self) -> str:
        """See `Store.epoch`. It is read again with the rooms of each opening connection."""
        return self._epoch.value

    def _forget(self) -> None:
        """Clear caches that belong to another database."""
        self.messages.forget_ids()
        self._marks.forget()
        self._outbox.forget()

    async def start(self) -> None:
        """Connect, and check the version of the schema. A second call does nothing.

        Raises:
            ConnectFailedError: the database cannot be reached, or rejects the login.
            Unavailable: the connection was lost.
            SchemaError: the schema has another version than this code.
        """
        if self.epoch:
            return
        try:
            await self._pool.open()
            self._epoch.update(await self._checked_epoch())
            await self.messages.connect()
        except BaseException:
            await self.close()
            raise

    async def _checked_epoch(self) -> str:
        async with self._pool.transaction() as connection:
            if await connection.fetchval(f"SELECT to_regclass('{VERSION_TABLE}')") is None:
                raise SchemaError("the database has no chat tables: run socketio-app migrate")
            version = await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  (a constant)
            if version != HEAD:
                raise SchemaError(
                    f"the database has schema {version}, but {HEAD} is required: "
                    "run socketio-app migrate"
                )
            epoch: str = await connection.fetchval("SELECT epoch FROM chat_store")
        return epoch

    async def check(self) -> None:
        """See `Store.check`."""
        is_failing = self.messages.commits.is_failing or self.deliveries.commits.is_failing
        async with self._pool.transaction() as connection:
            ((epoch, is_read_only),) = await connection.fetch(_EPOCH_AND_MODE)
            if is_read_only == "on":
                # Same as for a failed write: the session is not used again.
                raise asyncpg.exceptions.ReadOnlySQLTransactionError("the server is read-only")
            if is_failing:
                await connection.execute(_TRY_TO_WRITE)
        self._epoch.update(epoch)

    async def close(self) -> None:
        """Commit waiting writes, and disconnect. The store can be started again."""
        await self.messages.close()
        await self.deliveries.drain()
        await self._pool.close()
        await self._connector.close()
        self._epoch.value = ""


_EPOCH_AND_MODE = "SELECT epoch, current_setting('transaction_read_only') FROM chat_store"

# On a full disk a row can be updated in place, but no message can be inserted. No conversation has
# the id 0, and the insert is rolled back.
_TRY_TO_WRITE = """
    SAVEPOINT try_to_write;
    INSERT INTO chat_message (conversation_id, seq, message_id, from_user_id, content, created_at)
        VALUES (0, pg_backend_pid(), '', '', convert_to(repeat('x', 1900), 'UTF8'), 0);
    ROLLBACK TO SAVEPOINT try_to_write;
    UPDATE chat_store SET epoch = epoch
"""
