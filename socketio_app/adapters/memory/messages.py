"""Messages and delivery cursors, in memory."""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile

import attrs

from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.history import ConversationState, Page, Window
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored
from socketio_app.domain.transcript import Transcript


@attrs.define(eq=False)
class ConversationRecord:
    """The messages and cursors of one conversation."""

    transcript: Transcript = attrs.field(factory=Transcript, init=False)
    activity: int = attrs.field(default=0, init=False)
    last_seq_to: dict[UserId, int] = attrs.field(factory=dict, init=False)
    """`seq` of the newest message to each user of a pair."""
    sent_seq: dict[UserId, int] = attrs.field(factory=dict, init=False)
    """`seq` of each sender's newest message."""
    delivered_seq: dict[UserId, int] = attrs.field(factory=dict, init=False)
    """Delivery cursor of each user of a pair."""
    activities: deque[int] = attrs.field(factory=deque, init=False)
    """Activity of each message in the transcript."""

    def drop_oldest(self) -> None:
        """Drop the oldest message."""
        self.transcript.drop_oldest()
        self.activities.popleft()

    def since(self, activity: int, beyond: int, last_seq: int, limit: int) -> Sequence[Message]:
        """Return the newest messages after an activity and the `seq` `beyond`, up to `last_seq`."""
        newer = sum(1 for _ in takewhile(lambda each: each > activity, reversed(self.activities)))
        first = max(beyond, self.transcript.last_seq - newer, last_seq - limit) + 1
        return self.transcript.between(first, last_seq)


class MemoryMessages:
    """Implements `MessageLog` and `DeliveryLog`, which read the same transcripts.

    Memory is bounded. Beyond `max_messages` the oldest messages are dropped, including undelivered
    ones and their `client_message_id`s. Beyond `conversations` a message that would create another
    conversation is rejected with `Unavailable`.
    """

    def __init__(self, max_messages: int, conversations: int) -> None:
        self._max_messages = max_messages
        self._max_conversations = conversations
        self._conversations: dict[Conversation, ConversationRecord] = {}
        self._by_age: deque[ConversationRecord] = deque()
        self._pairs: dict[UserId, list[Pair]] = {}
        self._activity = 0

    async def append(self, draft: Draft) -> Stored:
        """See `MessageLog.append`."""
        return self.append_now(draft)

    def append_now(self, draft: Draft) -> Stored:
        """Append a message, or find the one that its sender has stored before.

        Raises:
            Unavailable: there would be too many conversations; nothing was stored.
        """
        record = self._conversations.get(draft.conversation) or self._create(draft.conversation)
        stored = record.transcript.append(draft)
        if not stored.duplicate:
            self._activity = record.activity = activity = self._activity + 1
            seq, recipient = stored.message.seq, draft.to_user_id
            record.sent_seq[draft.from_user_id] = seq
            if recipient is not None:
                record.last_seq_to[recipient] = seq
            record.activities.append(activity)
            self._by_age.append(record)
            if len(self._by_age) > self._max_messages:
                self._by_age.popleft().drop_oldest()
        return stored

    async def last_seq(self, conversation: Conversation) -> int:
        """See `MessageLog.last_seq`."""
        return self._transcript(conversation).last_seq

    async def page(self, conversation: Conversation, window: Window) -> Page:
        """See `MessageLog.page`."""
        return self._transcript(conversation).page(window)

    async def newest(
        self, beyond: Sequence[tuple[Conversation, int]], limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `MessageLog.newest`."""
        return [self._transcript(each).newest(seq, limit) for each, seq in beyond]

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        """See `DeliveryLog.undelivered`."""
        found: list[Message] = []
        for record in sorted(self._with_undelivered(user_id), key=lambda record: -record.activity):
            for message in record.transcript.after(record.delivered_seq.get(user_id, 0)):
                if len(found) == limit:
                    return found
                if message.to_user_id == user_id:
                    found.append(message)
        return found

    async def still_undelivered(self, messages: Sequence[Message]) -> Sequence[Message]:
        """See `DeliveryLog.still_undelivered`."""
        return [
            message
            for message in messages
            if (recipient := message.to_user_id) is not None
            and (record := self._conversations.get(message.conversation)) is not None
            and record.delivered_seq.get(recipient, 0) < message.seq
        ]

    def delivered(
        self, messages: Sequence[Message], first_time: Callable[[Sequence[Message]], None]
    ) -> None:
        """See `DeliveryLog.delivered`."""
        fresh: list[Message] = []
        for message in messages:
            recipient = message.to_user_id
            if recipient is not None:
                delivered = self._conversations[message.conversation].delivered_seq
                if delivered.get(recipient, 0) < message.seq:
                    delivered[recipient] = message.seq
                    fresh.append(message)
        if fresh:
            first_time(fresh)

    def enter(self, room_id: RoomId) -> int:
        """Return the `seq` of a room's newest message for a user who joins; 0 in a new room."""
        room = Room(room_id)
        record = self._conversations.get(room) or self._create(room)
        if record.activity == 0:
            record.activity = self.draw_activity()
        return record.transcript.last_seq

    @property
    def activity(self) -> int:
        """The highest activity drawn so far."""
        return self._activity

    def draw_activity(self) -> int:
        """Draw and return the next activity."""
        self._activity += 1
        return self._activity

    def since(
        self, conversation: Conversation, activity: int, beyond: int, last_seq: int, limit: int
    ) -> Sequence[Message]:
        """Return a conversation's newest messages; see `ConversationRecord.since`."""
        return self._conversations[conversation].since(activity, beyond, last_seq, limit)

    def pairs_of(self, user_id: UserId) -> Sequence[Pair]:
        """Return the pairs of a user."""
        return self._pairs.get(user_id, ())

    def last_message(self, conversation: Conversation) -> Message | None:
        """Return the conversation's newest message; `None` if there is none or it was dropped."""
        newest = self._transcript(conversation).newest(0, 1)
        return newest[0] if newest else None

    def state(
        self, user_id: UserId, conversation: Conversation, read_seq: int
    ) -> ConversationState:
        """Return a user's state of a conversation that is marked as read up to `read_seq`."""
        record = self._conversations[conversation]
        delivered_seq = last_seq = record.transcript.last_seq
        if isinstance(conversation, Pair):
            delivered_seq = record.delivered_seq.get(conversation.other(user_id), 0)
        read_seq = max(read_seq, record.sent_seq.get(user_id, 0))
        return ConversationState(conversation, last_seq, record.activity, delivered_seq, read_seq)

    def _transcript(self, conversation: Conversation) -> Transcript:
        record = self._conversations.get(conversation)
        return _EMPTY if record is None else record.transcript

    def _create(self, conversation: Conversation) -> ConversationRecord:
        if len(self._conversations) >= self._max_conversations:
            raise Unavailable("too many conversations for the in-memory store")
        record = self._conversations[conversation] = ConversationRecord()
        if isinstance(conversation, Pair):
            for user_id in {conversation.first, conversation.second}:
                self._pairs.setdefault(user_id, []).append(conversation)
        return record

    def _with_undelivered(self, user_id: UserId) -> Sequence[ConversationRecord]:
        """Return the pairs with undelivered messages to a user."""
        pairs = [self._conversations[pair] for pair in self.pairs_of(user_id)]
        return [
            record
            for record in pairs
            if record.last_seq_to.get(user_id, 0) > record.delivered_seq.get(user_id, 0)
        ]


_EMPTY = Transcript()
"""The transcript of a conversation without messages."""
