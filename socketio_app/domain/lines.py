"""How far each conversation has been broadcast here: the high-water marks behind its one order.

A store gives a message its place; a line says whether the message may be broadcast now. Messages
are broadcast place after place. What was broadcast before is not broadcast again, and where a
place is missing (the answer to an append was lost, or another process stored it) the line has a
gap, and what is between is read from the store before anything else is broadcast.
"""

from collections.abc import Iterable
from typing import Literal

import attrs

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.identifiers import ConnectionId, MessageId
from socketio_app.domain.messaging import Draft, Message, Stored

MAX_MARKS = 25_000
"""Maximum number of conversations in each of the two generations of marks; a conversation that is
in neither is taken to have no gap."""

MAX_DOUBTS = 10_000
"""Maximum number of conversations in doubt; beyond, the oldest doubt is dropped."""

MAX_DOUBTS_EACH = 100
"""Maximum number of messages in doubt of one conversation; beyond, the oldest is dropped."""

MAX_GAPS = 10_000
"""Maximum number of open gaps; beyond, a message is broadcast over its gap."""

MAX_MISSING = 1_000
"""Maximum number of places from the last broadcast one on to fill a gap; a message that is further
ahead is broadcast over it, and clients catch up."""

MAX_SENDERS = 1_000
"""Maximum number of sending connections remembered in one gap; later ones get their own messages,
which clients know by their `client_message_id`."""

Verdict = Literal["next", "known", "gap"]
"""Broadcast the message now; it has been broadcast; or it waits for what is missing before it."""


@attrs.define
class Gap:
    """What is missing in a line, until it has been read from the store."""

    mark: int | None
    """The last place that was broadcast; `None` where that is not known."""
    first: int
    """The lowest place that is known to be missing."""
    latest: int
    """The place up to which to broadcast."""
    sending: dict[int, ConnectionId] = attrs.field(factory=dict, init=False)
    """The connections that have a place's message by its acknowledgement."""

    def extend(self, seq: int, sending: ConnectionId | None) -> None:
        """Broadcast a place as well."""
        self.first = min(self.first, seq)
        self.latest = max(self.latest, seq)
        if sending is not None and len(self.sending) < MAX_SENDERS:
            self.sending[seq] = sending


@attrs.define
class Lines:
    """The lines of all conversations that were active lately."""

    max_marks: int = MAX_MARKS
    _marks: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    _older: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    """The generation of marks before; those that are used again move to `_marks`."""
    _doubts: dict[Conversation, dict[MessageId, None]] = attrs.field(factory=dict, init=False)
    """The messages in doubt, until the line has gone on: what was stored then shows as a gap."""
    _gaps: dict[Conversation, Gap] = attrs.field(factory=dict, init=False)

    def offer(self, stored: Stored, sending: ConnectionId | None) -> Verdict:
        """Say what becomes of a message that the store has; where it is next, the line advances.

        The messages of one conversation are offered in the order of their places, as appends
        return them; duplicates in any order.

        Args:
            stored: the outcome of an append.
            sending: the connection that has the message by its acknowledgement.
        """
        message = stored.message
        conversation, seq = message.conversation, message.seq
        if self._gaps and conversation in self._gaps:
            return self._offer_in_gap(stored, sending)
        mark = self._mark(conversation)
        if mark is None:
            if self._doubts and conversation in self._doubts:
                return self._offer_in_doubt(stored, sending)
            if stored.duplicate:
                return "known"
        elif seq <= mark:
            if stored.duplicate:
                return "known"
            # The store has lost its end, as after a failover: the line goes on from here.
        elif mark + 1 < seq <= mark + MAX_MISSING and len(self._gaps) < MAX_GAPS:
            return self._open(conversation, mark, seq, sending)
        self._advance(conversation, seq)
        return "next"

    def doubt(self, draft: Draft) -> None:
        """Note a message of which nobody knows whether it was stored."""
        doubts = self._doubts.setdefault(draft.conversation, {})
        doubts[draft.message_id] = None
        if len(doubts) > MAX_DOUBTS_EACH:
            del doubts[next(iter(doubts))]
        if len(self._doubts) > MAX_DOUBTS:
            del self._doubts[next(iter(self._doubts))]

    def is_in_doubt(self, message: Message) -> bool:
        """Whether nobody knew until now that the message was stored."""
        return message.message_id in self._doubts.get(message.conversation, ())

    def gap(self, conversation: Conversation) -> Gap | None:
        """The conversation's open gap, if any."""
        return self._gaps.get(conversation)

    def find_mark(self, conversation: Conversation, newest: Iterable[Message]) -> None:
        """Find where a line in doubt stands: before the first message that was in doubt.

        Args:
            conversation: one with a gap.
            newest: the newest messages up to the gap's latest place, in rising `seq`.
        """
        gap, doubts = self._gaps[conversation], self._doubts.pop(conversation, {})
        missing = [message.seq for message in newest if message.message_id in doubts]
        gap.mark = min([gap.first, *missing]) - 1

    def advance(self, conversation: Conversation, seq: int) -> None:
        """Note that a gap is filled up to a place; at the latest one, it is closed."""
        gap = self._gaps[conversation]
        gap.mark = seq
        gap.sending.pop(seq, None)
        if seq >= gap.latest:
            del self._gaps[conversation]
            self._advance(conversation, seq)

    def clear(self) -> None:
        """Forget everything: another store may be there."""
        for each in (self._marks, self._older, self._doubts, self._gaps):
            each.clear()

    def _mark(self, conversation: Conversation) -> int | None:
        mark = self._marks.get(conversation)
        return self._older.get(conversation) if mark is None else mark

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
            message.seq <= gap.mark if gap.mark is not None else not self.is_in_doubt(message)
        ):
            return "known"
        gap.extend(message.seq, sending)
        return "gap"

    def _offer_in_doubt(self, stored: Stored, sending: ConnectionId | None) -> Verdict:
        message = stored.message
        if stored.duplicate and not self.is_in_doubt(message):
            return "known"
        if message.seq == 1:
            self._advance(message.conversation, 1)
            return "next"
        return self._open(message.conversation, None, message.seq, sending)
