"""Which pairs hold undelivered messages, and how that is found without looking at all pairs.

A user may have thousands of pairs, nearly all of them delivered. So it is stored, now and then, up
to which activity nothing is undelivered to a user: only pairs with activity beyond it are looked
at. It is moved by the reads themselves, once they have to look at `MIN_EXAMINED` pairs.
"""

from collections.abc import Sequence
from typing import Any

import attrs

from socketio_app.domain.conversations import Pair
from socketio_app.domain.identifiers import UserId

MIN_EXAMINED = 100
"""From this number of examined pairs on, as first or as second of them, a read moves the mark."""


FIRST_PAIRS = 20
"""Number of pairs that are read first: their messages are often as many as are asked for."""


@attrs.frozen
class WaitingPair:
    """A pair with messages beyond a user's cursor."""

    conversation_id: int
    conversation: Pair
    activity: int
    delivered_seq: int
    last_seq: int
    """The newest message to the user."""

    @property
    def max_messages(self) -> int:
        """How many messages to the user there can be."""
        return self.last_seq - self.delivered_seq

    @property
    def is_to_oneself(self) -> bool:
        """Whether both are the same user."""
        return self.conversation.first == self.conversation.second


@attrs.frozen
class WaitingPairs:
    """The pairs that hold undelivered messages, the newest activity first."""

    pairs: Sequence[WaitingPair]
    delivered_activity: int
    """Nothing up to this activity is undelivered."""
    examined: int
    """How many pairs have activity beyond it, counted up to `MIN_EXAMINED` twice."""

    def next_delivered_activity(self, settled: int | None, limit: int) -> int | None:
        """Return what `delivered_activity` becomes, if it is worth a write.

        Args:
            settled: A settled mark, taken before the pairs were read.
            limit: Maximum number of pairs that were read.
        """
        if settled is None or self.examined < MIN_EXAMINED or len(self.pairs) == limit:
            return None
        following = min([settled, *[pair.activity - 1 for pair in self.pairs]])
        return following if following > self.delivered_activity else None


def waiting_pairs_of(rows: Sequence[Any], limit: int) -> WaitingPairs:
    """Return what is in the rows of the statement `WAITING_PAIRS`, as many pairs as its limit."""
    pairs = [
        WaitingPair(
            number,
            Pair(UserId(first.decode()), UserId(second.decode())),
            activity,
            delivered,
            last_seq,
        )
        for number, first, second, activity, delivered, last_seq in rows
        if number
    ]
    ((delivered_activity, examined),) = (row[3:5] for row in rows if not row[0])
    newest_first = sorted(pairs, key=lambda pair: -pair.activity)
    return WaitingPairs(newest_first[:limit], delivered_activity, examined)


def enough_pairs(pairs: Sequence[WaitingPair], limit: int) -> Sequence[WaitingPair]:
    """Return the first of the pairs, as many as can hold `limit` messages between them."""
    messages = 0
    for count, pair in enumerate(pairs, 1):
        messages += min(limit, pair.max_messages)
        if messages >= limit:
            return pairs[:count]
    return pairs


def _waiting_as(user: str, last_seq: str, condition: str) -> str:
    """Return the statement of the user's pairs as the first or as the second of them."""
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


# Each half follows an index by activity, and ends with its limit. The last row, without a
# conversation, has the mark and the number of pairs beyond it.
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
"""Takes a user, and a limit for each half. SQLite's parameters are `:user_id` and `:limit`."""
