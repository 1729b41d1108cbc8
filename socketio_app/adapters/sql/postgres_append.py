"""How a batch of messages gets into PostgreSQL: one call of a function, and so one round trip.

The function (`chat_append`, in the first migration) has two statements:

1. Lock the conversations, in the order of their numbers, so that two processes cannot each wait for
   the other.
2. With the locks held, and so with a snapshot in which all of these conversations' messages are
   visible, leave out what was stored before, give the rest their places, and store it.

They cannot be one: a statement sees what was committed when it began, which is before it had its
locks, so a message that another process stored while this one waited would be missed. Where
something was left out, the first messages are read, which those acknowledgements carry.
"""

from collections.abc import Mapping, Sequence

from socketio_app.adapters.sql.postgres_pool import Connection, PostgresPool
from socketio_app.adapters.sql.rows import key_columns, message_of, message_row
from socketio_app.domain.conversations import Conversation, Pair
from socketio_app.domain.messaging import Draft, Stored


async def append(
    connection: Connection, drafts: Sequence[Draft], ids: Mapping[Conversation, int]
) -> list[Stored]:
    """Store messages, or find those that were stored before.

    `ids` has the number of each of their conversations. No two drafts may be retries of each other.
    """
    numbers = [ids[draft.conversation] for draft in drafts]
    rows = [message_row(draft, 0)[1:] for draft in drafts]
    message_ids, senders, contents, times, retries = map(list, zip(*rows, strict=True))
    to_first, to_second = map(list, zip(*map(_recipient, drafts), strict=True))
    placed = await connection.fetch(
        APPEND, numbers, message_ids, senders, contents, times, retries, to_first, to_second
    )
    seqs: dict[int, int] = dict(placed)  # type: ignore[arg-type]  # a record is a pair here
    missing = [draft for at, draft in enumerate(drafts) if at not in seqs]
    firsts = await _firsts(connection, missing, ids) if missing else {}
    return [
        Stored(draft.at(seqs[at]), duplicate=False)
        if at in seqs
        else firsts[ids[draft.conversation], draft.from_user_id, draft.client_message_id]
        for at, draft in enumerate(drafts)
    ]


MOST_IDS = 50_000
"""Of how many conversations the numbers are remembered."""


class ConversationIds:
    """The numbers of conversations, which never change; those used lately are remembered."""

    def __init__(self) -> None:
        self._ids: dict[Conversation, int] = {}

    async def find(
        self, pool: PostgresPool, conversations: Sequence[Conversation]
    ) -> Mapping[Conversation, int]:
        """The number of each conversation, given anew where there is none.

        Raises:
            Unavailable: the database cannot be reached now.
        """
        # A copy: the numbers remembered may be forgotten while the caller waits for the database.
        known = {each: self._ids[each] for each in conversations if each in self._ids}
        unknown = [each for each in dict.fromkeys(conversations) if each not in known]
        if not unknown:
            return known
        async with pool.transaction() as connection:
            found = await _find_or_insert(connection, unknown)
        if len(self._ids) > MOST_IDS:
            self._ids.clear()
        # Only now: before the commit, a number could still be given to another.
        self._ids.update(found)
        return known | found


async def _find_or_insert(
    connection: Connection, conversations: Sequence[Conversation]
) -> dict[Conversation, int]:
    columns = key_columns(conversations)
    await connection.execute(_INSERT_CONVERSATIONS, *columns)
    rows = await connection.fetch(_FIND_CONVERSATIONS, *columns)
    return {conversations[position - 1]: number for position, number in rows}


def _recipient(draft: Draft) -> tuple[bool, bool]:
    """Whether a message is to its pair's first, and to its second."""
    pair = draft.conversation
    if not isinstance(pair, Pair):
        return False, False
    recipient = pair.other(draft.from_user_id)
    return recipient == pair.first, recipient == pair.second


async def _firsts(
    connection: Connection, drafts: Sequence[Draft], ids: Mapping[Conversation, int]
) -> dict[tuple[int, str, str | None], Stored]:
    """The messages that were stored before, by what makes the drafts retries of them."""
    found: dict[tuple[int, str, str | None], Stored] = {}
    conversations = {ids[draft.conversation]: draft.conversation for draft in drafts}
    rows = await connection.fetch(
        _FIND_RETRIED,
        [ids[draft.conversation] for draft in drafts],
        [draft.from_user_id.encode() for draft in drafts],
        [(draft.client_message_id or "").encode() for draft in drafts],
    )
    for number, *row in rows:
        message = message_of(conversations[number], tuple(row))
        key = (number, message.from_user_id, message.client_message_id)
        found[key] = Stored(message, duplicate=True)
    return found


APPEND = "SELECT * FROM chat_append($1, $2, $3, $4, $5, $6, $7, $8)"

_FIND_RETRIED = """
    SELECT DISTINCT message.conversation_id, seq, message_id, message.from_user_id, content,
        created_at, message.client_message_id
    FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])
        AS retry (conversation_id, from_user_id, client_message_id)
    JOIN chat_message message USING (conversation_id, from_user_id, client_message_id)
"""

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
