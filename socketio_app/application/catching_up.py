"""Catching up with everything that is new since a cursor, in pages.

Conversations are visited in ascending order of activity. A conversation with new messages moves
forward in that order, never back, so a later page visits it, with everything that is new since the
cursor. A transaction that commits late, behind the current page, has an activity above the mark
that was settled before the first page; the next catch-up includes it. Messages that are visible
but above that mark are sent again then.
"""

from collections.abc import Mapping, Sequence

import attrs

from socketio_app.application.commands import CaughtUp, MissedMessages
from socketio_app.application.ports import ActivityLog
from socketio_app.domain.activity import CatchUpCursor, Change
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message, content_bytes, newest_within

MAX_CHANGES = 200
"""Maximum number of conversations in one page."""

MAX_MESSAGES_PER_READ = 4000
"""Maximum number of messages per read from the store."""


class CatchingUp:
    """Handles `CatchUp` commands with a `since` cursor.

    Args:
        activity: the store's activity log.
        max_messages: maximum number of messages in one page.
        max_bytes: maximum size of their contents.
    """

    def __init__(self, activity: ActivityLog, max_messages: int, max_bytes: int) -> None:
        self._activity = activity
        self._max_messages = max_messages
        self._max_bytes = max_bytes

    async def since(
        self, user_id: UserId, since: CatchUpCursor, known: Mapping[Conversation, int], limit: int
    ) -> CaughtUp:
        """Return what is new for a user since a cursor, and the next cursor.

        Raises:
            Unavailable: the store cannot be read now.
        """
        settled_activity = since.settled_activity
        if since.is_first:
            mark = await self._activity.mark()
            if since.activity > mark.latest:
                return CaughtUp(recovered=False)  # the database is older than the client
            settled_activity = max(since.activity, mark.settled or 0)
        found = await self._activity.changes(user_id, since.activity, since.given, MAX_CHANGES + 1)
        visited, missed = await self._missed(found[:MAX_CHANGES], since.activity, known, limit)
        if len(visited) == len(found):
            following = CatchUpCursor.at(since.epoch, settled_activity)
        else:
            following = since.after(visited[-1].activity, settled_activity)
        return CaughtUp(
            recovered=True,
            conversations=missed,
            has_more=len(visited) < len(found),
            since=following,
        )

    async def _missed(
        self, found: Sequence[Change], since: int, known: Mapping[Conversation, int], limit: int
    ) -> tuple[Sequence[Change], Sequence[MissedMessages]]:
        """Return the leading changes that fit in one page, and their new messages."""
        answer = _Answer(self._max_messages, self._max_bytes)
        size = max(1, MAX_MESSAGES_PER_READ // (limit + 1))
        for begin in range(0, len(found), size):
            part = found[begin : begin + size]
            beyond = [known.get(each.state.conversation, 0) for each in part]
            # One more than the limit, to detect that there are more. Messages from before schema
            # 0002 have activity 0; they are new to a client that has nothing.
            news = await self._activity.new_messages(part, beyond, since or -1, limit + 1)
            for at, (change, messages) in enumerate(zip(part, news, strict=True)):
                known_seq = known.get(change.state.conversation)
                if not answer.add(change, known_seq, messages, limit):
                    return found[: begin + at], answer.missed
        return found, answer.missed


@attrs.define
class _Answer:
    """A page under construction, and the room left in it."""

    messages_left: int
    bytes_left: int
    missed: list[MissedMessages] = attrs.field(factory=list, init=False)

    def add(
        self, change: Change, known_seq: int | None, messages: Sequence[Message], limit: int
    ) -> bool:
        """Add a conversation if it fits. The first one is truncated to fit instead."""
        state = change.state
        newest = messages[-limit:]
        if not self.missed:
            newest = newest_within(newest[-self.messages_left :], self.bytes_left) or newest[-1:]
        size = content_bytes(newest)
        if self.missed and (len(newest) > self.messages_left or size > self.bytes_left):
            return False
        self.messages_left -= len(newest)
        self.bytes_left -= size
        is_unknown = change.is_joined and known_seq is None
        if not newest and not is_unknown:
            return True
        has_hole = len(newest) < len(messages)
        if change.is_joined:
            first_seq = newest[0].seq if newest else state.last_seq + 1
            has_hole = first_seq > (known_seq or 0) + 1
        self.missed.append(MissedMessages(state, newest, limited=has_hole))
        return True
