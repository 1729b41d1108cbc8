"""How a batch of messages gets into PostgreSQL: one call of a function, and so one round trip.

The function (`chat_append`, in the first migration) has three statements:

1. Lock the conversations, in the order of their numbers, so that two processes cannot each wait for
   the other.
2. See that the numbers are those of the conversations that are meant.
3. With the locks held, and so with a snapshot in which all of these conversations' messages are
   visible, leave out what was stored before, give the rest their places, and store it.

The first and the last cannot be one: a statement sees what was committed when it began, which is
before it had its locks, so a message that another process stored while this one waited would be
missed. Where something was left out, the first messages are read, which those acknowledgements
carry.
"""

from collections.abc import Mapping, Sequence

from socketio_app.adapters.sql.postgres.pool import PostgresConnection
from socketio_app.adapters.sql.postgres.session import Connection
from socketio_app.adapters.sql.rows import key_columns, message_of, message_row
from socketio_app.domain.conversations import Conversation, Pair
from socketio_app.domain.messaging import Draft, Stored


async def append(
    connection: Connection, drafts: Sequence[Draft], ids: Mapping[Conversation, int]
) -> list[Stored]:
    """Store messages, or find those that were stored before.

    `ids` has the number of each of their conversations. No two drafts may be retries of each other.

    Raises:
        StaleNumbersError: a number is not its conversation's. Nothing was stored: try again, with
            fresh numbers.
    """
    numbers = [ids[draft.conversation] for draft in drafts]
    keys = key_columns(draft.conversation for draft in drafts)
    rows = [message_row(draft, 0)[1:] for draft in drafts]
    message_ids, senders, contents, times, retries = map(list, zip(*rows, strict=True))
    to_first, to_second = map(list, zip(*map(_recipient, drafts), strict=True))
    placed = await connection.fetch(
        APPEND, numbers, *keys, message_ids, senders, contents, times, retries, to_first, to_second
    )
    seqs: dict[int, int | None] = dict(placed)  # type: ignore[arg-type]  # a record is a pair here
    if not seqs:
        raise StaleNumbersError
    before = [draft for at, draft in enumerate(drafts) if seqs[at] is None]
    firsts = await _firsts(connection, before, ids) if before else {}
    return [
        firsts[ids[draft.conversation], draft.from_user_id, draft.client_message_id]
        if seq is None
        else Stored(draft.at(seq), duplicate=False)
        for draft, seq in ((draft, seqs[at]) for at, draft in enumerate(drafts))
    ]


class StaleNumbersError(Exception):
    """The database is not the one any more that a conversation's number is of.

    It came back from a replica that lagged behind, or from a backup.
    """


MAX_IDS = 50_000
"""Of how many conversations the numbers are remembered."""


class ConversationIds:
    """The numbers of conversations; those used lately are remembered.

    In one database they never change. But while the server lives on, its database may become
    another: whoever uses a number must see that it is the conversation's still.
    """

    def __init__(self) -> None:
        self._ids: dict[Conversation, int] = {}

    def forget(self) -> None:
        """Remember none of them."""
        self._ids.clear()

    async def find(
        self, appending: PostgresConnection, conversations: Sequence[Conversation]
    ) -> Mapping[Conversation, int]:
        """The number of each conversation, given anew where there is none.

        Args:
            appending: The connection for appends: what waits for a reader's makes all appends wait.
            conversations: The conversations, any of them more than once.

        Raises:
            Unavailable: the database cannot be reached now.
        """
        # A copy: the numbers remembered may be forgotten while the caller waits for the database.
        known = {each: self._ids[each] for each in conversations if each in self._ids}
        unknown = [each for each in dict.fromkeys(conversations) if each not in known]
        if not unknown:
            return known
        async with appending.statement() as connection:
            found = await find_or_insert(connection, unknown)
        if len(self._ids) > MAX_IDS:
            self._ids.clear()
        # Only now: before the commit, a number could still be given to another.
        self._ids.update(found)
        return known | found


async def find_or_insert(
    connection: Connection, conversations: Sequence[Conversation]
) -> dict[Conversation, int]:
    """The number of each conversation, in the transaction given anew where there is none."""
    await connection.execute(_INSERT_CONVERSATIONS, *key_columns(conversations))
    return await find_numbers(connection, conversations)


async def find_numbers(
    connection: Connection, conversations: Sequence[Conversation]
) -> dict[Conversation, int]:
    """The number of each conversation that there is."""
    rows = await connection.fetch(_FIND_CONVERSATIONS, *key_columns(conversations))
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


APPEND = "SELECT * FROM chat_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"

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
