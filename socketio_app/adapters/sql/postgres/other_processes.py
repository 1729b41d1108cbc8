"""Noticing other processes on the same chat: they do not notify each other's connections.

Each process holds a shared lock in the session that appends messages. Nobody waits for it; a
process that opens such a session counts the locks.
"""

import logging
from typing import Final

from socketio_app.adapters.sql.postgres.session import Session

log = logging.getLogger("socketio_app.store")

WARNING: Final = (
    "another process uses this chat's database, and clients of one process do not receive messages "
    "of the other until they reconnect: run a single process"
)


class OtherProcesses:
    """Warns once if another process uses the same tables."""

    def __init__(self) -> None:
        self._has_warned = False

    async def look(self, session: Session) -> None:
        """Lock and count, in a new session.

        Behind a pooler, a session has no server process of its own that could hold a lock.
        """
        if session.is_pooled:
            return
        holders = await session.connection.fetchval(_LOCK_AND_COUNT)
        if holders > 1 and not self._has_warned:
            self._has_warned = True
            log.warning(WARNING)


_CHAT: Final = 0x63686174
"""The first key of the locks: `chat` in ASCII. The second is the id of a table."""

# A volatile function in the subquery, and OFFSET 0: the lock is acquired before locks are counted.
_LOCK_AND_COUNT = f"""
    SELECT count(*) FROM
        (SELECT pg_advisory_lock_shared({_CHAT}, 'chat_store'::regclass::oid::int) OFFSET 0) AS own,
        pg_locks
    WHERE locktype = 'advisory' AND classid = {_CHAT} AND objid = 'chat_store'::regclass
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608  (a constant)
