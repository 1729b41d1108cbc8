"""Appending a batch of messages to PostgreSQL: one function call, and so one round trip.

The function (`chat_append`, defined by the migrations) has three statements:

1. Lock the conversations, ordered by id to prevent deadlocks between processes.
2. Check that the ids belong to the expected conversations.
3. With the locks held, and so with a snapshot that has all messages of these conversations, skip
   messages that were stored before, assign the next `seq`s to the others, and insert them.

The first and the last cannot be one statement: a statement sees what was committed when it started,
which is before it got the locks, and would miss messages that another process stored while it was
waiting. For the skipped messages, the first messages are read, which their acknowledgements return.
"""

from collections.abc import Mapping, Sequence

from socketio_app.adapters.sql.message_columns import (
    MESSAGE_COLUMN_NAMES,
    MESSAGE_COLUMNS,
    message_of,
    message_row,
)
from socketio_app.adapters.sql.postgres.pool import PostgresConnection
from socketio_app.adapters.sql.postgres.session import Connection
from socketio_app.adapters.sql.rows import key_columns
from socketio_app.domain.conversations import Conversation, Pair
from socketio_app.domain.messaging import Draft, Stored


async def append(
    connection: Connection, drafts: Sequence[Draft], ids: Mapping[Conversation, int]
) -> list[Stored]:
    """Store messages, or find the ones stored before.

    Args:
        connection: the connection for appends.
        drafts: the messages. No two of them may be retries of each other.
        ids: the id of each conversation.

    Raises:
        StaleIdsError: an id is not that of its conversation. Nothing was stored; try again with
            fresh ids.
    """
    conversation_ids = [ids[draft.conversation] for draft in drafts]
    keys = key_columns(draft.conversation for draft in drafts)
    rows = [message_row(draft, 0)[1:] for draft in drafts]
    columns = map(list, zip(*rows, strict=True))
    to_first, to_second = map(list, zip(*map(_recipient, drafts), strict=True))
    placed = await connection.fetch(
        APPEND,
        conversation_ids,
        *keys,
        *columns,
        to_first,
        to_second,
    )
    seqs: dict[int, int | None] = dict(placed)  # type: ignore[arg-type]  # a record is a pair here
    if not seqs:
        raise StaleIdsError
    retries = [draft for at, draft in enumerate(drafts) if seqs[at] is None]
    firsts = await _first_messages(connection, retries, ids) if retries else {}
    return [
        firsts[ids[draft.conversation], draft.from_user_id, draft.client_message_id]
        if seq is None
        else Stored(draft.at(seq), duplicate=False)
        for draft, seq in ((draft, seqs[at]) for at, draft in enumerate(drafts))
    ]


class StaleIdsError(Exception):
    """A conversation id belongs to an earlier state of the database.

    The database was replaced by a replica that lagged behind, or restored from a backup.
    """


MAX_IDS = 50_000
"""Maximum number of cached conversation ids."""


class ConversationIds:
    """Conversation ids, cached.

    They never change within a database, but the database may be replaced while the server runs.
    Statements that use a cached id must therefore check that it still belongs to its conversation.
    """

    def __init__(self) -> None:
        self._ids: dict[Conversation, int] = {}

    def forget(self) -> None:
        """Clear the cache."""
        self._ids.clear()

    async def find(
        self, appending: PostgresConnection, conversations: Sequence[Conversation]
    ) -> Mapping[Conversation, int]:
        """Return the id of each conversation, creating those that do not exist.

        Args:
            appending: the connection for appends. Waiting for a connection of the pool would delay
                all appends.
            conversations: the conversations, possibly with duplicates.

        Raises:
            Unavailable: the database cannot be reached.
        """
        # A copy: the cache may be cleared while the caller waits for the database.
        known = {each: self._ids[each] for each in conversations if each in self._ids}
        unknown = [each for each in dict.fromkeys(conversations) if each not in known]
        if not unknown:
            return known
        async with appending.statement() as connection:
            found = await find_or_insert(connection, unknown)
        if len(self._ids) > MAX_IDS:
            self._ids.clear()
        # Only after the commit: until then, an id could still go to another conversation.
        self._ids.update(found)
        return known | found


async def find_or_insert(
    connection: Connection, conversations: Sequence[Conversation]
) -> dict[Conversation, int]:
    """Return the id of each conversation, creating those that do not exist."""
    await connection.execute(_INSERT_CONVERSATIONS, *key_columns(conversations))
    return await find_ids(connection, conversations)


async def find_ids(
    connection: Connection, conversations: Sequence[Conversation]
) -> dict[Conversation, int]:
    """Return the id of each conversation that exists."""
    rows = await connection.fetch(_FIND_CONVERSATIONS, *key_columns(conversations))
    return {conversations[position - 1]: conversation_id for position, conversation_id in rows}


def _recipient(draft: Draft) -> tuple[bool, bool]:
    """Return whether a message is to the first user of its pair, and whether to the second."""
    pair = draft.conversation
    if not isinstance(pair, Pair):
        return False, False
    recipient = pair.other(draft.from_user_id)
    return recipient == pair.first, recipient == pair.second


async def _first_messages(
    connection: Connection, drafts: Sequence[Draft], ids: Mapping[Conversation, int]
) -> dict[tuple[int, str, str | None], Stored]:
    """Return the messages stored before, by the key that makes the drafts their retries."""
    found: dict[tuple[int, str, str | None], Stored] = {}
    conversations = {ids[draft.conversation]: draft.conversation for draft in drafts}
    rows = await connection.fetch(
        _FIND_RETRIED,
        [ids[draft.conversation] for draft in drafts],
        [draft.from_user_id.encode() for draft in drafts],
        [(draft.client_message_id or "").encode() for draft in drafts],
    )
    for conversation_id, *row in rows:
        message = message_of(conversations[conversation_id], tuple(row))
        key = (conversation_id, message.from_user_id, message.client_message_id)
        found[key] = Stored(message, duplicate=True)
    return found


# The id and the key of the conversation, the columns of the message without `seq`, and its
# recipient.
_PARAMETERS = range(1, 4 + len(MESSAGE_COLUMNS) + 2)
APPEND = f"SELECT * FROM chat_append({', '.join(f'${number}' for number in _PARAMETERS)})"  # noqa: S608  (constants)

_FIND_RETRIED = f"""
    SELECT DISTINCT conversation_id, {MESSAGE_COLUMN_NAMES}
    FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])
        AS retry (conversation_id, from_user_id, client_message_id)
    JOIN chat_message USING (conversation_id, from_user_id, client_message_id)
"""  # noqa: S608  (constants)

_INSERT_CONVERSATIONS = """
    INSERT INTO chat_conversation (room_id, first_user_id, second_user_id, last_seq,
        last_seq_to_first, last_seq_to_second, activity)
    SELECT room_id, first_user_id, second_user_id, 0, 0, 0, 0
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])
        AS key (room_id, first_user_id, second_user_id)
    ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING
"""

_FIND_CONVERSATIONS = """
    WITH key AS (
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) WITH ORDINALITY
            AS key (room_id, first_user_id, second_user_id, position)
    )
    SELECT position, conversation_id FROM key JOIN chat_conversation USING (room_id)
    UNION ALL
    SELECT position, conversation_id FROM key
    JOIN chat_conversation USING (first_user_id, second_user_id)
"""
