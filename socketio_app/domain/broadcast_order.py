"""High-water marks: how far each conversation has been broadcast by this process.

The store assigns each message its `seq`; a line decides whether the message can be broadcast now.
Messages are broadcast in order of `seq`, each once. If a `seq` is missing (the reply to an append
was lost, or another process stored the message), the line has a gap, and the missing messages are
read from the store before anything else is broadcast.

A message is in doubt if its append failed with an unknown outcome.
"""

from collections.abc import Iterable
from typing import Literal

import attrs

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.identifiers import ConnectionId, MessageId
from socketio_app.domain.messaging import Draft, Message, Stored

MAX_MARKS = 25_000
"""Maximum number of conversations in each of the two generations of marks. A conversation in
neither is assumed to have no gap."""

MAX_UNCONFIRMED_CONVERSATIONS = 10_000
"""Maximum number of conversations with messages in doubt; above it, the oldest is dropped."""

MAX_UNCONFIRMED_MESSAGES = 100
"""Maximum number of messages in doubt per conversation; above it, the oldest is dropped."""

MAX_GAPS = 10_000
"""Maximum number of open gaps; above it, messages are broadcast without filling the gap."""

MAX_MISSING = 1_000
"""Maximum distance from the last broadcast message at which a gap is filled. A message further
ahead is broadcast without filling the gap, and clients catch up."""

MAX_SENDERS = 1_000
"""Maximum number of sending connections remembered per gap. Later ones receive their own messages,
which clients recognize by `client_message_id`."""

Verdict = Literal["next", "known", "gap"]
"""`next`: broadcast the message now; `known`: it was broadcast already; `gap`: it must wait for
missing messages."""


@attrs.define
class Gap:
    """Messages of a conversation that must be read from the store before they are broadcast."""

    mark: int | None
    """The last `seq` that was broadcast; `None` if unknown."""
    first: int
    """The lowest `seq` that is known to be pending."""
    latest: int
    """The highest `seq` to broadcast."""
    sending: dict[int, ConnectionId] = attrs.field(factory=dict, init=False)
    """By `seq`, the connection that gets the message in its acknowledgement."""

    def extend(self, seq: int, sending: ConnectionId | None) -> None:
        """Add a `seq` to broadcast."""
        self.first = min(self.first, seq)
        self.latest = max(self.latest, seq)
        if sending is not None and len(self.sending) < MAX_SENDERS:
            self.sending[seq] = sending


@attrs.define
class BroadcastOrder:
    """The lines of recently active conversations."""

    max_marks: int = MAX_MARKS
    _marks: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    _older: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    """The previous generation of marks; a mark that advances moves to `_marks`."""
    _doubts: dict[Conversation, dict[MessageId, None]] = attrs.field(factory=dict, init=False)
    """Messages in doubt, until the line advances: from then on, a stored one shows as a gap."""
    _gaps: dict[Conversation, Gap] = attrs.field(factory=dict, init=False)

    def offer(self, stored: Stored, sending: ConnectionId | None) -> Verdict:
        """Decide whether to broadcast a stored message; if it is next, advance the line.

        New messages of a conversation must be offered in order of `seq`, as appends return them;
        duplicates in any order.

        Args:
            stored: the outcome of an append.
            sending: the connection that gets the message in its acknowledgement.
        """
        message = stored.message
        conversation, seq = message.conversation, message.seq
        if self._gaps and conversation in self._gaps:
            return self._offer_in_gap(stored, sending)
        mark = self._marks.get(conversation)
        if mark is None:
            mark = self._older.get(conversation)
        if mark is None:
            if self._doubts and conversation in self._doubts:
                return self._offer_in_doubt(stored, sending)
            if stored.duplicate:
                return "known"
        elif seq <= mark:
            if stored.duplicate:
                return "known"
            # The store has lost its newest messages, as after a failover: continue from here.
        elif mark + 1 < seq <= mark + MAX_MISSING and len(self._gaps) < MAX_GAPS:
            return self._open(conversation, mark, seq, sending)
        self._marks[conversation] = seq
        if self._doubts or len(self._marks) > self.max_marks:
            self._advance(conversation, seq)
        return "next"

    def mark_unconfirmed(self, draft: Draft) -> None:
        """Record a message whose append has an unknown outcome."""
        doubts = self._doubts.setdefault(draft.conversation, {})
        doubts[draft.message_id] = None
        if len(doubts) > MAX_UNCONFIRMED_MESSAGES:
            del doubts[next(iter(doubts))]
        if len(self._doubts) > MAX_UNCONFIRMED_CONVERSATIONS:
            del self._doubts[next(iter(self._doubts))]

    def is_unconfirmed(self, message: Message) -> bool:
        """Whether the message is still in doubt."""
        return message.message_id in self._doubts.get(message.conversation, ())

    def gap(self, conversation: Conversation) -> Gap | None:
        """Return the conversation's open gap, if any."""
        return self._gaps.get(conversation)

    def recover_mark(self, conversation: Conversation, newest: Iterable[Message]) -> None:
        """Set a gap's unknown mark to just before the first message that was in doubt.

        Args:
            conversation: a conversation with a gap.
            newest: the newest messages up to the gap's latest `seq`, in ascending order.
        """
        gap, doubts = self._gaps[conversation], self._doubts.pop(conversation, {})
        missing = [message.seq for message in newest if message.message_id in doubts]
        gap.mark = min([gap.first, *missing]) - 1

    def advance(self, conversation: Conversation, seq: int) -> None:
        """Record that a gap is filled up to `seq`; close it at its latest one."""
        gap = self._gaps[conversation]
        gap.mark = seq
        gap.sending.pop(seq, None)
        if seq >= gap.latest:
            del self._gaps[conversation]
            self._advance(conversation, seq)

    def clear(self) -> None:
        """Forget everything, for a store that may be a different one."""
        for each in (self._marks, self._older, self._doubts, self._gaps):
            each.clear()

    def _advance(self, conversation: Conversation, seq: int) -> None:
        self._marks[conversation] = seq
        if self._doubts:
            self._doubts.pop(conversation, None)
        if len(self._marks) > self.max_marks:
            self._marks, self._older = {}, self._marks

    def _open(
        self, conversation: Conversation, mark: int | None, seq: int, sending: ConnectionId | None
    ) -> Verdict:
        gap = self._gaps[conversation] = Gap(mark, seq, seq)
        gap.extend(seq, sending)
        return "gap"

    def _offer_in_gap(self, stored: Stored, sending: ConnectionId | None) -> Verdict:
        message = stored.message
        gap = self._gaps[message.conversation]
        if stored.duplicate and (
            message.seq <= gap.mark if gap.mark is not None else not self.is_unconfirmed(message)
        ):
            return "known"
        gap.extend(message.seq, sending)
        return "gap"

    def _offer_in_doubt(self, stored: Stored, sending: ConnectionId | None) -> Verdict:
        message = stored.message
        if stored.duplicate and not self.is_unconfirmed(message):
            return "known"
        if message.seq == 1:
            self._advance(message.conversation, 1)
            return "next"
        return self._open(message.conversation, None, message.seq, sending)
