"""A conversation's messages in memory."""

from collections import deque
from collections.abc import Sequence
from itertools import islice, takewhile

import attrs

from socketio_app.domain.history import Page, Window
from socketio_app.domain.identifiers import ClientMessageId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored


@attrs.define
class Transcript:
    """The messages of one conversation, in order of `seq`.

    A `client_message_id` is unique per sender: a second draft with the same one changes nothing.
    Dropping the oldest messages frees memory and forgets their `client_message_id` as well; a `seq`
    is never reused.
    """

    last_seq: int = attrs.field(default=0, init=False)
    """`seq` of the newest message, or 0 if there is none."""
    _messages: deque[Message] = attrs.field(factory=deque, init=False)
    _by_client: dict[tuple[UserId, ClientMessageId], Message] = attrs.field(
        factory=dict, init=False
    )

    def append(self, draft: Draft) -> Stored:
        """Append a draft with the next `seq`, unless its sender has sent it before."""
        if draft.client_message_id is not None:
            first = self._by_client.get((draft.from_user_id, draft.client_message_id))
            if first is not None:
                return Stored(first, duplicate=True)
        self.last_seq += 1
        message = draft.at(self.last_seq)
        self._messages.append(message)
        if message.client_message_id is not None:
            self._by_client[message.from_user_id, message.client_message_id] = message
        return Stored(message, duplicate=False)

    def after(self, seq: int) -> Sequence[Message]:
        """Return the stored messages after `seq`, in order."""
        # Iterate from the end: usually only the newest few are wanted.
        newest_first = takewhile(lambda message: message.seq > seq, reversed(self._messages))
        return list(newest_first)[::-1]

    def page(self, window: Window) -> Page:
        """Return the stored messages in a window."""
        kept_from = self._messages[0].seq if self._messages else self.last_seq + 1
        if window.after_seq is not None:
            first = max(window.after_seq + 1, kept_from)
            last = min(first + window.limit - 1, self.last_seq)
            return Page(self.between(first, last), last < self.last_seq, self.last_seq)
        last = self.last_seq if window.before_seq is None else window.before_seq - 1
        last = min(last, self.last_seq)
        first = max(last - window.limit + 1, kept_from)
        return Page(self.between(first, last), kept_from < first <= last, self.last_seq)

    def newest(self, after_seq: int, limit: int) -> Sequence[Message]:
        """Return the newest stored messages after a `seq`, at most `limit`, in order."""
        return self.between(max(after_seq, self.last_seq - limit) + 1, self.last_seq)

    def between(self, first: int, last: int) -> Sequence[Message]:
        """Return the stored messages from one `seq` to another, both included, in order."""
        if not self._messages:
            return []
        kept_from = self._messages[0].seq
        start, stop = max(first - kept_from, 0), last - kept_from + 1
        return list(islice(self._messages, start, max(stop, start)))

    def drop_oldest(self) -> None:
        """Drop the oldest message.

        Raises:
            IndexError: there is none.
        """
        oldest = self._messages.popleft()
        if oldest.client_message_id is not None:
            del self._by_client[oldest.from_user_id, oldest.client_message_id]
