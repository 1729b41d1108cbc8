"""Users' conversations and read positions, in memory."""

from collections.abc import Sequence

from socketio_app.adapters.memory.messages import MemoryMessages
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.history import ConversationState, ReadMarker, Recent
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.rooms import Memberships


class MemoryConversations:
    """Implements `ConversationLog`.

    Args:
        messages: messages of the conversations.
        memberships: members of the rooms.
    """

    def __init__(self, messages: MemoryMessages, memberships: Memberships) -> None:
        self._messages = messages
        self._memberships = memberships
        self._read: dict[tuple[UserId, Conversation], int] = {}

    async def of_user(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[ConversationState]:
        """See `ConversationLog.of_user`."""
        newest_first = sorted(self.states(user_id), key=lambda state: -state.activity)
        if before_activity is not None:
            newest_first = [each for each in newest_first if each.activity < before_activity]
        return newest_first[:limit]

    def states(self, user_id: UserId) -> Sequence[ConversationState]:
        """Return all of a user's conversations."""
        conversations: list[Conversation] = list(self._messages.pairs_of(user_id))
        conversations += map(Room, self._memberships.rooms_of(user_id))
        return [
            self._messages.state(user_id, each, self._read.get((user_id, each), 0))
            for each in conversations
        ]

    async def recent(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[Recent]:
        """See `ConversationLog.recent`."""
        states = await self.of_user(user_id, limit, before_activity)
        return [Recent(each, self._messages.last_message(each.conversation)) for each in states]

    async def mark_read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadMarker:
        """See `ConversationLog.mark_read`."""
        return self.read(
            user_id, conversation, min(seq, await self._messages.last_seq(conversation))
        )

    def read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadMarker:
        """Move the user's read position forward to an existing `seq`."""
        before = self._read.get((user_id, conversation), 0)
        if seq <= before:
            return ReadMarker(before, moved=False)
        self._read[user_id, conversation] = seq
        return ReadMarker(seq, moved=True)
