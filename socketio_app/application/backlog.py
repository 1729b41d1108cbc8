"""Missed messages, pushed to a new connection in bounded batches.

Only one batch is kept in memory. Of the rest, only the ranges of `seq` are kept; the messages are
read from the store again once the client has read the previous batches.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Final, Self

import attrs

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import Page, Window
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message, oldest_within

_PAGE_MESSAGES: Final = 50
"""Maximum number of messages per read."""


@attrs.define
class _Run:
    """A conversation's missed messages that have not been read yet."""

    conversation: Conversation
    after_seq: int
    last_seq: int


@attrs.frozen
class Batch:
    """The next messages to send to the connection."""

    messages: Sequence[Message]
    """In ascending `seq` within each conversation."""
    finished: Mapping[Conversation, int]
    """Conversations that are complete with this batch, and the `seq` of their last message."""


@attrs.define
class Backlog:
    """Missed messages to push to a connection, in delivery order."""

    user_id: UserId
    max_bytes: int
    """Maximum size of a batch's contents. A larger message is a batch of its own."""
    _last: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    """`seq` of the last missed message of each unfinished conversation."""
    _read: Sequence[Message] = attrs.field(factory=tuple, init=False)
    _runs: deque[_Run] = attrs.field(factory=deque, init=False)

    @classmethod
    def of(cls, user_id: UserId, undelivered: Sequence[Message], max_bytes: int) -> Self:
        """Create a backlog of undelivered messages, grouped by conversation, in ascending `seq`."""
        backlog = cls(user_id, max_bytes)
        if not undelivered:
            return backlog
        backlog._last = {message.conversation: message.seq for message in undelivered}
        backlog._read = backlog._within(undelivered)
        rest = undelivered[len(backlog._read) :]
        for conversation, messages in groupby(rest, lambda message: message.conversation):
            seqs = [message.seq for message in messages]
            backlog._runs.append(_Run(conversation, seqs[0] - 1, seqs[-1]))
        return backlog

    @property
    def is_empty(self) -> bool:
        """Whether all batches have been taken."""
        return not self._read and not self._runs

    @property
    def conversations(self) -> Collection[Conversation]:
        """The unfinished conversations."""
        return self._last.keys()

    @property
    def next_page(self) -> tuple[Conversation, Window] | None:
        """The page to read before the next `take`; `None` if nothing needs to be read."""
        if self._read or not self._runs:
            return None
        run = self._runs[0]
        return run.conversation, Window(after_seq=run.after_seq, limit=_PAGE_MESSAGES)

    def add(self, page: Page) -> None:
        """Add the page that was read for `next_page`."""
        run = self._runs[0]
        missed = [message for message in page.messages if message.seq <= run.last_seq]
        to_user = [message for message in missed if message.to_user_id == self.user_id]
        self._read = self._within(to_user)
        if len(self._read) < len(to_user):
            run.after_seq = self._read[-1].seq
        elif missed and missed[-1].seq < run.last_seq:
            run.after_seq = missed[-1].seq
        else:  # finished, or the store no longer has the rest
            self._runs.popleft()

    def take(self) -> Batch:
        """Remove and return the next batch."""
        read, self._read = self._read, ()
        left = {run.conversation for run in self._runs}
        finished = {each: seq for each, seq in self._last.items() if each not in left}
        self._last = {each: seq for each, seq in self._last.items() if each in left}
        return Batch(read, finished)

    def _within(self, messages: Sequence[Message]) -> Sequence[Message]:
        return oldest_within(messages, self.max_bytes) or messages[:1]
