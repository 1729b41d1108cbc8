"""Messages, and how far they have come, in memory."""

from collections import deque
from collections.abc import Callable, Sequence

from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.history import Page, Standing, Window
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored
from socketio_app.domain.transcript import Transcript


class MemoryMessages:
    """The message log and the delivery log, in one piece: both read the same transcripts.

    Both bounds are there because memory ends. Over `kept_messages` the oldest messages are
    forgotten, undelivered ones and their `client_message_id`s included; over `conversations` a
    message that would begin another is refused as `Unavailable`.
    """

    def __init__(self, kept_messages: int, conversations: int) -> None:
        self._kept_messages = kept_messages
        self._conversations = conversations
        self._transcripts: dict[Conversation, Transcript] = {}
        self._by_age: deque[Transcript] = deque()
        self._delivered: dict[tuple[UserId, Pair], int] = {}
        self._pairs: dict[UserId, list[Pair]] = {}
        self._activities: dict[Conversation, int] = {}
        self._activity = 0
        # Pairs in which the user may have something undelivered, in the order of their newest.
        self._waiting: dict[UserId, dict[Pair, None]] = {}

    async def append(self, draft: Draft) -> Stored:
        """See `MessageLog.append`."""
        stored = self._transcript(draft.conversation).append(draft)
        if not stored.duplicate:
            self._note_activity(draft.conversation)
            self._note_waiting(stored.message)
            self._forget_what_is_too_much(self._transcripts[draft.conversation])
        return stored

    async def last_seq(self, conversation: Conversation) -> int:
        """See `MessageLog.last_seq`."""
        transcript = self._transcripts.get(conversation)
        return 0 if transcript is None else transcript.last_seq

    async def page(self, conversation: Conversation, window: Window) -> Page:
        """See `MessageLog.page`."""
        return self._transcripts.get(conversation, _NOTHING).page(window)

    async def newest(
        self, beyond: Sequence[tuple[Conversation, int]], limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `MessageLog.newest`."""
        return [
            self._transcripts.get(conversation, _NOTHING).newest(seq, limit)
            for conversation, seq in beyond
        ]

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        """See `DeliveryLog.undelivered`."""
        found: list[Message] = []
        for pair in reversed(self._waiting.get(user_id, {})):
            after = self._delivered.get((user_id, pair), 0)
            for message in self._transcripts[pair].after(after):
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
        transcript = self._transcript(room)
        if room not in self._activities:
            self._note_activity(room)
        return transcript.last_seq

    def pairs_of(self, user_id: UserId) -> Sequence[Pair]:
        """The pairs that a user is in."""
        return self._pairs.get(user_id, ())

    def count_of_others(
        self, user_id: UserId, conversation: Conversation, after_seq: int, most: int
    ) -> int:
        """How many messages beyond a place are not the user's own; counted up to `most`."""
        messages = self._transcripts[conversation].after(after_seq)
        return min(most, sum(message.from_user_id != user_id for message in messages))

    def standing(self, user_id: UserId, conversation: Conversation, read_seq: int) -> Standing:
        """Where a user stands who has read so far."""
        last_seq = self._transcripts[conversation].last_seq
        delivered_seq = last_seq
        if isinstance(conversation, Pair):
            delivered_seq = self._delivered.get((conversation.other(user_id), conversation), 0)
        return Standing(
            conversation, last_seq, self._activities[conversation], delivered_seq, read_seq
        )

    def _deliver(self, message: Message) -> bool:
        pair, user_id = message.conversation, message.to_user_id
        if not isinstance(pair, Pair) or user_id is None:
            return False
        if self._delivered.get((user_id, pair), 0) >= message.seq:
            return False
        self._delivered[user_id, pair] = message.seq
        newer = self._transcripts[pair].after(message.seq)
        if not any(later.to_user_id == user_id for later in newer):
            self._stop_waiting(user_id, pair)
        return True

    def _transcript(self, conversation: Conversation) -> Transcript:
        transcript = self._transcripts.get(conversation)
        if transcript is None:
            if len(self._transcripts) >= self._conversations:
                raise Unavailable("the server's memory has no room for another conversation")
            transcript = self._transcripts[conversation] = Transcript()
            if isinstance(conversation, Pair):
                for user_id in {conversation.first, conversation.second}:
                    self._pairs.setdefault(user_id, []).append(conversation)
        return transcript

    def _note_activity(self, conversation: Conversation) -> None:
        self._activity += 1
        self._activities[conversation] = self._activity

    def _note_waiting(self, message: Message) -> None:
        pair, recipient = message.conversation, message.to_user_id
        if isinstance(pair, Pair) and recipient is not None:
            waiting = self._waiting.setdefault(recipient, {})
            waiting.pop(pair, None)
            waiting[pair] = None

    def _stop_waiting(self, user_id: UserId, pair: Pair) -> None:
        waiting = self._waiting.get(user_id, {})
        waiting.pop(pair, None)
        if not waiting:
            self._waiting.pop(user_id, None)

    def _forget_what_is_too_much(self, newest: Transcript) -> None:
        self._by_age.append(newest)
        if len(self._by_age) > self._kept_messages:
            self._by_age.popleft().forget_oldest()


_NOTHING = Transcript()
"""Of a conversation that has not begun."""
