"""The in-memory store: all of it in one place."""

from uuid import uuid4

from socketio_app.adapters.memory.activity import MemoryActivity
from socketio_app.adapters.memory.conversations import MemoryConversations
from socketio_app.adapters.memory.messages import MemoryMessages
from socketio_app.adapters.memory.rooms import MemoryRooms
from socketio_app.domain.rooms import Memberships


class MemoryStore:
    """Keeps everything until the process ends; each is an incarnation of its own.

    Args:
        kept_messages: how many messages are kept, of all conversations together; then the oldest
            are forgotten.
        conversations: how many conversations there may be; then new ones are refused.
        rooms_per_user: how many rooms one user may be in.
    """

    def __init__(self, kept_messages: int, conversations: int, rooms_per_user: int) -> None:
        self.epoch = uuid4().hex
        self.messages = self.deliveries = MemoryMessages(kept_messages, conversations)
        memberships = Memberships(rooms_per_user)
        self.conversations = MemoryConversations(self.messages, memberships)
        self.rooms = MemoryRooms(memberships, self.messages, self.conversations)
        self.activity = MemoryActivity(self.messages, self.conversations, self.rooms)

    async def check(self) -> None:
        """See `Store.check`. Memory always answers."""
