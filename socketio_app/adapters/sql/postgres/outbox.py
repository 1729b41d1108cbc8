"""The outbox in PostgreSQL."""

from collections.abc import Callable, Sequence

import attrs
from sqlalchemy import Connection, text

from socketio_app.adapters.sql.host_outbox import HostOutbox
from socketio_app.adapters.sql.outbox_rows import OUTBOX_COLUMN_NAMES, draft_in
from socketio_app.adapters.sql.postgres.pool import PostgresPool
from socketio_app.domain.identifiers import MessageId
from socketio_app.domain.messaging import Draft


@attrs.frozen
class _Place:
    """Where the outbox is."""

    schema_name: str
    system: str
    """The identifier of the cluster, which is not copied with a database."""
    database: int
    table: int


class PostgresOutbox(HostOutbox):
    """Implements `Outbox`."""

    dialect = "postgresql"

    def __init__(self, pool: PostgresPool, epoch: Callable[[], str]) -> None:
        super().__init__()
        self._pool = pool
        self._epoch = epoch
        self._place: _Place | None = None

    def forget(self) -> None:
        """Forget where the outbox is, and which connections lead there."""
        self._place = None
        self._checked.clear()

    async def look_up(self) -> None:
        """See `HostOutbox.look_up`."""
        if self._place is None:
            async with self._pool.connection() as connection:
                (row,) = await connection.fetch(_PLACE.format("chat_outbox"))
            self._place = _Place(*row)

    @property
    def epoch(self) -> str:
        """See `HostOutbox.epoch`."""
        return self._epoch()

    @property
    def schema_name(self) -> str:
        """See `HostOutbox.schema_name`."""
        return self._known_place().schema_name

    def is_same_database(self, connection: Connection) -> bool:
        """See `HostOutbox.is_same_database`."""
        place = self._known_place()
        name = connection.dialect.identifier_preparer.quote_schema(place.schema_name)
        row = connection.execute(text(_PLACE.format(f"{name}.chat_outbox"))).one()
        if _Place(*row) == place:
            return True
        self.forget()  # the chat's own database may have been replaced
        return False

    async def find(self, message_ids: Sequence[MessageId]) -> Sequence[Draft]:
        """See `Outbox.find`."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_FIND, message_ids)
        return [draft_in(tuple(row)) for row in rows]

    async def page(self, after: MessageId | None, limit: int) -> Sequence[Draft]:
        """See `Outbox.page`."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_NEXT, after or "", limit)
        return [draft_in(tuple(row)) for row in rows]

    async def remove(self, message_ids: Sequence[MessageId]) -> None:
        """See `Outbox.remove`."""
        async with self._pool.connection() as connection:
            await connection.fetch(_REMOVE, message_ids)

    def _known_place(self) -> _Place:
        assert self._place is not None  # noqa: S101  (`put` looks it up first)
        return self._place


_PLACE = """
    SELECT nspname::text, system_identifier::text, database.oid::bigint, class.oid::bigint
    FROM pg_control_system(), pg_database database, pg_class class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE datname = current_database() AND class.oid = '{}'::regclass
"""
_FIND = f"SELECT {OUTBOX_COLUMN_NAMES} FROM chat_outbox WHERE message_id = ANY($1::text[])"  # noqa: S608  (constants)
_NEXT = f"""
    SELECT {OUTBOX_COLUMN_NAMES} FROM chat_outbox WHERE message_id > $1
    ORDER BY message_id LIMIT $2
"""  # noqa: S608  (constants)
_REMOVE = "DELETE FROM chat_outbox WHERE message_id = ANY($1::text[])"
