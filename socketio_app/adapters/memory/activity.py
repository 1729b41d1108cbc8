"""The activity log, in memory."""

from collections.abc import Sequence

from socketio_app.adapters.memory.conversations import MemoryConversations
from socketio_app.adapters.memory.messages import MemoryMessages
from socketio_app.adapters.memory.rooms import MemoryRooms
from socketio_app.domain.activity import Change, Mark
from socketio_app.domain.conversations import Room
from socketio_app.domain.history import ConversationState
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message


class MemoryActivity:
    """Implements `ActivityLog`. Each query reads all of the user's conversations."""

    def __init__(
        self, messages: MemoryMessages, conversations: MemoryConversations, rooms: MemoryRooms
    ) -> None:
        self._messages = messages
        self._conversations = conversations
        self._rooms = rooms

    async def mark(self) -> Mark:
        """See `ActivityLog.mark`."""
        return Mark(self._messages.activity, self._messages.activity)

    recent_mark = mark

    async def changes(
        self, user_id: UserId, since: int, given: int, limit: int
    ) -> Sequence[Change]:
        """See `ActivityLog.changes`."""
        changes = [
            self._change(user_id, each, since) for each in self._conversations.states(user_id)
        ]
        beyond = [each for each in changes if each.activity > given]
        return sorted(beyond, key=lambda change: change.activity)[:limit]

    async def new_messages(
        self, changes: Sequence[Change], beyond: Sequence[int], since: int, limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `ActivityLog.new_messages`."""
        states = [change.state for change in changes]
        return [
            self._messages.since(each.conversation, since, seq, each.last_seq, limit)
            for each, seq in zip(states, beyond, strict=True)
        ]

    def _change(self, user_id: UserId, state: ConversationState, since: int) -> Change:
        joined = 0
        if isinstance(state.conversation, Room):
            joined = self._rooms.joined_at_activity(state.conversation.room_id, user_id)
        return Change(state, max(state.activity, joined), is_joined=joined > since)
