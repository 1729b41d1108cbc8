"""Finding a user's undelivered messages without reading all of the user's pairs.

A user may have thousands of pairs, nearly all without undelivered messages. The table of users
therefore has an activity up to which nothing is undelivered, and only pairs with later activity are
read. Reads move it forward once they have to examine `MIN_EXAMINED` pairs.
"""

from collections.abc import Sequence
from typing import Any

import attrs

from socketio_app.domain.conversations import Pair
from socketio_app.domain.identifiers import UserId

MIN_EXAMINED = 100
"""Minimum number of examined pairs with which a read moves `delivered_activity`."""


FIRST_PAIRS = 20
"""Number of pairs to read first; they often hold as many messages as requested."""


@attrs.frozen
class WaitingPair:
    """A pair with messages after a user's delivery cursor."""

    conversation_id: int
    conversation: Pair
    activity: int
    delivered_seq: int
    last_seq: int
    """`seq` of the newest message to the user."""

    @property
    def max_messages(self) -> int:
        """Maximum number of undelivered messages to the user."""
        return self.last_seq - self.delivered_seq

    @property
    def is_to_oneself(self) -> bool:
        """Whether both users of the pair are the same."""
        return self.conversation.first == self.conversation.second


@attrs.frozen
class WaitingPairs:
    """Pairs with undelivered messages, newest activity first."""

    pairs: Sequence[WaitingPair]
    delivered_activity: int
    """Nothing up to this activity is undelivered."""
    examined: int
    """Number of pairs with later activity; counting stops at twice `MIN_EXAMINED`."""

    def next_delivered_activity(self, settled: int | None, limit: int) -> int | None:
        """Return the next `delivered_activity`, or `None` if it is not worth a write.

        Args:
            settled: a settled mark, taken before the pairs were read.
            limit: limit of the query for the pairs.
        """
        if settled is None or self.examined < MIN_EXAMINED or len(self.pairs) == limit:
            return None
        following = min([settled, *[pair.activity - 1 for pair in self.pairs]])
        return following if following > self.delivered_activity else None


def waiting_pairs_of(rows: Sequence[Any], limit: int) -> WaitingPairs:
    """Return up to `limit` pairs from the rows of the statement `WAITING_PAIRS`."""
    pairs = [
        WaitingPair(
            conversation_id,
            Pair(UserId(first.decode()), UserId(second.decode())),
            activity,
            delivered,
            last_seq,
        )
        for conversation_id, first, second, activity, delivered, last_seq in rows
        if conversation_id
    ]
    ((delivered_activity, examined),) = (row[3:5] for row in rows if not row[0])
    newest_first = sorted(pairs, key=lambda pair: -pair.activity)
    return WaitingPairs(newest_first[:limit], delivered_activity, examined)


def enough_pairs(pairs: Sequence[WaitingPair], limit: int) -> Sequence[WaitingPair]:
    """Return the first pairs that together may hold `limit` messages."""
    messages = 0
    for count, pair in enumerate(pairs, 1):
        messages += min(limit, pair.max_messages)
        if messages >= limit:
            return pairs[:count]
    return pairs


def _waiting_as(user: str, last_seq: str, condition: str) -> str:
    """Return the SQL for the user's pairs as first or as second user."""
    return f"""
        SELECT conversation.conversation_id, first_user_id, second_user_id, activity,
            coalesce(delivered_seq, 0), {last_seq}
        FROM chat_conversation conversation LEFT JOIN chat_cursor delivery
        ON delivery.user_id = $1 AND delivery.conversation_id = conversation.conversation_id
        WHERE {user} = $1 AND {condition}
          AND activity > (SELECT delivered_activity FROM mark)
          AND {last_seq} > coalesce(delivered_seq, 0)
        ORDER BY activity DESC LIMIT $2
    """  # noqa: S608  (constants)


def _examined_as(user: str) -> str:
    return f"""
        SELECT count(*) FROM (
            SELECT 1 FROM chat_conversation
            WHERE {user} = $1 AND activity > (SELECT delivered_activity FROM mark)
            LIMIT {MIN_EXAMINED}
        ) examined
    """  # noqa: S608  (constants)


# Each half scans an index by activity, up to its limit. The last row, without a conversation, has
# the user's `delivered_activity` and the number of pairs with later activity.
WAITING_PAIRS = f"""
    WITH mark AS (
        SELECT coalesce(max(delivered_activity), 0) AS delivered_activity
        FROM chat_user WHERE user_id = $1
    )
    SELECT * FROM ({_waiting_as("first_user_id", "last_seq_to_first", "TRUE")}) as_first
    UNION ALL
    SELECT * FROM (
        {_waiting_as("second_user_id", "last_seq_to_second", "first_user_id <> $1")}
    ) as_second
    UNION ALL
    SELECT 0, $1, $1, delivered_activity,
        ({_examined_as("first_user_id")}) + ({_examined_as("second_user_id")}), 0
    FROM mark
"""  # noqa: S608  (constants)
"""Parameters: a user, and a limit for each half; in SQLite, `:user_id` and `:limit`."""
