"""The messages that a connection has missed, on their way to it: a bounded batch at a time.

Only one batch is kept in memory. The rest is places, which are read from the store again once the
client has taken what came before.
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
"""Maximum number of messages that are read at a time."""


@attrs.define
class _Run:
    """The missed messages of one conversation that are still to be read."""

    conversation: Conversation
    after_seq: int
    last_seq: int


@attrs.frozen
class Batch:
    """What goes to the connection next."""

    messages: Sequence[Message]
    """Each conversation's in rising `seq`."""
    finished: Mapping[Conversation, int]
    """The conversations of which nothing is left, and the place of each one's last message."""


@attrs.define
class Backlog:
    """What one connection has missed, in the order in which it gets it."""

    user_id: UserId
    max_bytes: int
    """Maximum size of a batch's contents; one message is a batch, whatever its size."""
    _last: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    """The place of the last message of each conversation that is not finished."""
    _read: Sequence[Message] = attrs.field(factory=tuple, init=False)
    _runs: deque[_Run] = attrs.field(factory=deque, init=False)

    @classmethod
    def of(cls, user_id: UserId, undelivered: Sequence[Message], max_bytes: int) -> Self:
        """Begin with all that is undelivered, each conversation in one piece, in rising `seq`."""
        backlog = cls(user_id, max_bytes)
        backlog._last = {message.conversation: message.seq for message in undelivered}
        backlog._read = backlog._within(undelivered)
        rest = undelivered[len(backlog._read) :]
        for conversation, messages in groupby(rest, lambda message: message.conversation):
            seqs = [message.seq for message in messages]
            backlog._runs.append(_Run(conversation, seqs[0] - 1, seqs[-1]))
        return backlog

    @property
    def is_empty(self) -> bool:
        """Whether the connection has had everything."""
        return not self._read and not self._runs

    @property
    def conversations(self) -> Collection[Conversation]:
        """The conversations of which something is left."""
        return self._last.keys()

    @property
    def next_page(self) -> tuple[Conversation, Window] | None:
        """What is to be read before the next batch can be taken; `None`: nothing."""
        if self._read or not self._runs:
            return None
        run = self._runs[0]
        return run.conversation, Window(after_seq=run.after_seq, limit=_PAGE_MESSAGES)

    def add(self, page: Page) -> None:
        """Add what was read as `next_page`."""
        run = self._runs[0]
        missed = [message for message in page.messages if message.seq <= run.last_seq]
        to_user = [message for message in missed if message.to_user_id == self.user_id]
        self._read = self._within(to_user)
        if len(self._read) < len(to_user):
            run.after_seq = self._read[-1].seq
        elif missed and missed[-1].seq < run.last_seq:
            run.after_seq = missed[-1].seq
        else:  # all of it; or the store does not keep the rest any more
            self._runs.popleft()

    def take(self) -> Batch:
        """Take the next batch: what was read."""
        read, self._read = self._read, ()
        left = {run.conversation for run in self._runs}
        finished = {each: seq for each, seq in self._last.items() if each not in left}
        self._last = {each: seq for each, seq in self._last.items() if each in left}
        return Batch(read, finished)

    def _within(self, messages: Sequence[Message]) -> Sequence[Message]:
        return oldest_within(messages, self.max_bytes) or messages[:1]
