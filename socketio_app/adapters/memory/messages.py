"""Messages, and how far they have come, in memory."""

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
    """What is kept of one conversation."""

    transcript: Transcript = attrs.field(factory=Transcript, init=False)
    activity: int = attrs.field(default=0, init=False)
    last_seq_to: dict[UserId, int] = attrs.field(factory=dict, init=False)
    """The newest message to each of a pair."""
    sent_seq: dict[UserId, int] = attrs.field(factory=dict, init=False)
    """Each sender's newest message."""
    delivered_seq: dict[UserId, int] = attrs.field(factory=dict, init=False)
    """How far each of a pair has been given theirs."""
    activities: deque[int] = attrs.field(factory=deque, init=False)
    """Of each message that the transcript keeps."""

    def forget_oldest(self) -> None:
        """Drop the oldest message that is kept."""
        self.transcript.forget_oldest()
        self.activities.popleft()

    def since(self, activity: int, beyond: int, last_seq: int, limit: int) -> Sequence[Message]:
        """Return the newest messages beyond an activity and a place, up to another place."""
        newer = sum(1 for _ in takewhile(lambda each: each > activity, reversed(self.activities)))
        first = max(beyond, self.transcript.last_seq - newer, last_seq - limit) + 1
        return self.transcript.between(first, last_seq)


class MemoryMessages:
    """The message log and the delivery log, in one piece: both read the same transcripts.

    Both bounds are there because memory ends. Over `kept_messages` the oldest messages are
    forgotten, undelivered ones and their `client_message_id`s included; over `conversations` a
    message that would begin another is refused as `Unavailable`.
    """

    def __init__(self, kept_messages: int, conversations: int) -> None:
        self._kept_messages = kept_messages
        self._most_conversations = conversations
        self._conversations: dict[Conversation, ConversationRecord] = {}
        self._by_age: deque[ConversationRecord] = deque()
        self._pairs: dict[UserId, list[Pair]] = {}
        self._activity = 0

    async def append(self, draft: Draft) -> Stored:
        """See `MessageLog.append`."""
        kept = self._conversations.get(draft.conversation) or self._begin(draft.conversation)
        stored = kept.transcript.append(draft)
        if not stored.duplicate:
            kept.activity = self.draw_activity()
            kept.sent_seq[draft.from_user_id] = stored.message.seq
            recipient = stored.message.to_user_id
            if recipient is not None:
                kept.last_seq_to[recipient] = stored.message.seq
            kept.activities.append(self._activity)
            self._by_age.append(kept)
            if len(self._by_age) > self._kept_messages:
                self._by_age.popleft().forget_oldest()
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
        for kept in sorted(self._waiting_for(user_id), key=lambda kept: -kept.activity):
            for message in kept.transcript.after(kept.delivered_seq.get(user_id, 0)):
                if len(found) == limit:
                    return found
                if message.to_user_id == user_id:
                    found.append(message)
        return found

    def delivered(
        self, messages: Sequence[Message], first_time: Callable[[Sequence[Message]], None]
    ) -> None:
        """See `DeliveryLog.delivered`."""
        fresh = [message for message in messages if self._deliver(message)]
        if fresh:
            first_time(fresh)

    def enter(self, room_id: RoomId) -> int:
        """The place of a room's newest message, for somebody who joins; 0 in a new room."""
        room = Room(room_id)
        kept = self._conversations.get(room) or self._begin(room)
        if kept.activity == 0:
            kept.activity = self.draw_activity()
        return kept.transcript.last_seq

    @property
    def activity(self) -> int:
        """The highest activity that was drawn."""
        return self._activity

    def draw_activity(self) -> int:
        """Return the next activity."""
        self._activity += 1
        return self._activity

    def since(
        self, conversation: Conversation, activity: int, beyond: int, last_seq: int, limit: int
    ) -> Sequence[Message]:
        """Return a conversation's newest messages beyond an activity and a place."""
        return self._conversations[conversation].since(activity, beyond, last_seq, limit)

    def pairs_of(self, user_id: UserId) -> Sequence[Pair]:
        """The pairs that a user is in."""
        return self._pairs.get(user_id, ())

    def last_message(self, conversation: Conversation) -> Message | None:
        """Return the conversation's newest message, if it has one that is kept."""
        newest = self._transcript(conversation).newest(0, 1)
        return newest[0] if newest else None

    def state(
        self, user_id: UserId, conversation: Conversation, read_seq: int
    ) -> ConversationState:
        """Where a user stands who has marked as read so far."""
        kept = self._conversations[conversation]
        delivered_seq = last_seq = kept.transcript.last_seq
        if isinstance(conversation, Pair):
            delivered_seq = kept.delivered_seq.get(conversation.other(user_id), 0)
        read_seq = max(read_seq, kept.sent_seq.get(user_id, 0))
        return ConversationState(conversation, last_seq, kept.activity, delivered_seq, read_seq)

    def _transcript(self, conversation: Conversation) -> Transcript:
        kept = self._conversations.get(conversation)
        return _NOTHING if kept is None else kept.transcript

    def _begin(self, conversation: Conversation) -> ConversationRecord:
        if len(self._conversations) >= self._most_conversations:
            raise Unavailable("the server's memory has no room for another conversation")
        kept = self._conversations[conversation] = ConversationRecord()
        if isinstance(conversation, Pair):
            for user_id in {conversation.first, conversation.second}:
                self._pairs.setdefault(user_id, []).append(conversation)
        return kept

    def _waiting_for(self, user_id: UserId) -> Sequence[ConversationRecord]:
        """The pairs in which something is undelivered to the user."""
        pairs = [self._conversations[pair] for pair in self.pairs_of(user_id)]
        return [
            kept
            for kept in pairs
            if kept.last_seq_to.get(user_id, 0) > kept.delivered_seq.get(user_id, 0)
        ]

    def _deliver(self, message: Message) -> bool:
        recipient = message.to_user_id
        if recipient is None:
            return False
        delivered = self._conversations[message.conversation].delivered_seq
        if delivered.get(recipient, 0) >= message.seq:
            return False
        delivered[recipient] = message.seq
        return True


_NOTHING = Transcript()
"""Of a conversation that has not begun."""
