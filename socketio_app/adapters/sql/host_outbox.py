"""Storing messages in transactions of the host application, through SQLAlchemy."""

import functools
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import attrs
from sqlalchemy import (
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    Select,
    Table,
    inspect,
    literal,
    select,
    union_all,
)

from socketio_app.adapters.sql import schema
from socketio_app.adapters.sql.host_connections import (
    CommitWatch,
    is_in_transaction,
    run_on,
)
from socketio_app.adapters.sql.outbox_rows import outbox_row
from socketio_app.adapters.sql.rows import key_of
from socketio_app.application.outbox import (
    HostConnection,
    HostConnectionError,
    OnCommit,
    QueuedMessage,
)
from socketio_app.domain.errors import Conflict
from socketio_app.domain.identifiers import MessageId
from socketio_app.domain.messaging import Draft

OTHER_DATABASE = (
    "connection is to another database than the chat's: use DATABASE_URL of the chat for both"
)


@attrs.frozen
class ChatTables:
    """The chat's tables, as the host's connections name them."""

    store: Table
    conversations: Table
    messages: Table
    outbox: Table


@functools.cache
def tables_in(schema_name: str | None) -> ChatTables:
    """Return the tables in a schema; `None` for a database without schemas."""
    originals = (schema.store, schema.conversations, schema.messages, schema.outbox)
    if schema_name is None:
        return ChatTables(*originals)
    metadata = MetaData()
    return ChatTables(*(each.to_metadata(metadata, schema=schema_name) for each in originals))


class HostOutbox:
    """The part of `Outbox` that uses the host's connections. A subclass knows the database."""

    dialect: str
    """SQLAlchemy's name of the database."""
    commits_savepoints = False
    """Whether the release of a savepoint may commit, and a rollback therefore come too late."""

    def __init__(self) -> None:
        self._watch = CommitWatch(includes_rollbacks=self.commits_savepoints)
        self._checked: WeakSet[Engine] = WeakSet()
        """The engines that are connected to the chat's database."""

    async def put(
        self, connection: HostConnection, draft: Draft, on_commit: OnCommit
    ) -> QueuedMessage:
        """See `Outbox.put`."""
        await self.look_up()
        return await run_on(connection, lambda found: self.put_now(found, draft, on_commit))

    async def look_up(self) -> None:
        """Look up what the other methods need to know of the chat's database."""
        raise NotImplementedError

    @property
    def epoch(self) -> str:
        """The epoch of the chat's database."""
        raise NotImplementedError

    @property
    def schema_name(self) -> str | None:
        """The schema of the chat's tables."""
        raise NotImplementedError

    def is_same_database(self, connection: Connection) -> bool:
        """Whether a connection to a database with the chat's tables is to the chat's database."""
        raise NotImplementedError

    def prepare(self, connection: Connection) -> None:
        """Prepare a connection for a write."""

    def put_now(self, connection: Connection, draft: Draft, on_commit: OnCommit) -> QueuedMessage:
        """Store a message as `put` does, in the thread or greenlet of the connection."""
        self._check(connection)
        self.prepare(connection)
        message_id, client_message_id = draft.message_id, draft.client_message_id
        assert client_message_id is not None  # noqa: S101  (the port requires one)
        first = self._first(connection, draft)
        if first is not None:
            return QueuedMessage(first, client_message_id, duplicate=True)
        tables = tables_in(self.schema_name)
        columns = list(tables.outbox.c)
        values = [
            literal(value, column.type)
            for value, column in zip(outbox_row(draft), columns, strict=True)
        ]
        row = select(*values).select_from(tables.store).where(tables.store.c.epoch == self.epoch)
        insert = tables.outbox.insert().from_select(columns, row)
        inserted = connection.execute(insert.execution_options(preserve_rowcount=True))
        if inserted.rowcount != 1:
            raise HostConnectionError(OTHER_DATABASE)
        if not is_in_transaction(connection):
            connection.execute(
                tables.outbox.delete().where(tables.outbox.c.message_id == message_id)
            )
            raise HostConnectionError(
                "connection has the isolation level AUTOCOMMIT: it has no transaction to store a "
                "message in"
            )
        self._watch.add(connection, message_id, on_commit)
        return QueuedMessage(message_id, client_message_id, duplicate=False)

    def _check(self, connection: Connection) -> None:
        if connection.engine in self._checked:
            return
        if connection.dialect.name != self.dialect:
            raise HostConnectionError(OTHER_DATABASE)
        if not inspect(connection).has_table("chat_outbox", schema=self.schema_name):
            raise HostConnectionError(OTHER_DATABASE)
        if not self.is_same_database(connection):
            raise HostConnectionError(OTHER_DATABASE)
        self._checked.add(connection.engine)

    def _first(self, connection: Connection, draft: Draft) -> MessageId | None:
        """Return the message that the draft is a retry of.

        Raises:
            Conflict: it has other content.
        """
        if str(draft.client_message_id) == draft.message_id:  # generated, and so never a retry
            return None
        rows: Sequence[Any] = connection.execute(self._retried(draft)).all()
        for message_id, content in rows:
            if content != draft.content.encode():
                raise Conflict(
                    "client_message_id was already used for a message with other content"
                )
            return MessageId(message_id)
        return None

    def _retried(self, draft: Draft) -> Any:
        """Select the id and content of messages that the draft may be a retry of."""
        tables = tables_in(self.schema_name)
        _, room_id, to_user_id, sender, _, _, client_message_id = outbox_row(draft)

        def of_sender(table: Table) -> Select[Any]:
            return select(table.c.message_id, table.c.content).where(
                table.c.from_user_id == literal(sender, LargeBinary),
                table.c.client_message_id == literal(client_message_id, LargeBinary),
            )

        conversations, messages, outbox = tables.conversations, tables.messages, tables.outbox
        _, first, second = key_of(draft.conversation)
        stored = of_sender(messages).join(
            conversations, messages.c.conversation_id == conversations.c.conversation_id
        )
        queued = of_sender(outbox)
        if room_id is not None:
            stored = stored.where(conversations.c.room_id == room_id)
            queued = queued.where(outbox.c.room_id == room_id)
        else:
            stored = stored.where(
                conversations.c.first_user_id == first, conversations.c.second_user_id == second
            )
            queued = queued.where(outbox.c.to_user_id == to_user_id)
        return union_all(stored, queued)
