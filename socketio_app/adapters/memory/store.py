"""The in-memory store."""

from uuid import uuid4

from socketio_app.adapters.memory.activity import MemoryActivity
from socketio_app.adapters.memory.conversations import MemoryConversations
from socketio_app.adapters.memory.messages import MemoryMessages
from socketio_app.adapters.memory.rooms import MemoryRooms
from socketio_app.application.store_capabilities import StoreCapabilities
from socketio_app.domain.rooms import Memberships


class MemoryStore:
    """Implements `Store`. Its data, and its epoch, last until the process ends.

    Args:
        max_messages: maximum number of messages of all conversations; beyond, the oldest are
            dropped.
        conversations: maximum number of conversations; beyond, new ones are rejected.
        rooms_per_user: maximum number of rooms per user.
    """

    def __init__(self, max_messages: int, conversations: int, rooms_per_user: int) -> None:
        self.epoch = uuid4().hex
        self.messages = self.deliveries = MemoryMessages(max_messages, conversations)
        self.capabilities = StoreCapabilities(
            is_persistent=False, runs_outside_tasks=True, append=self.messages.append_now
        )
        memberships = Memberships(rooms_per_user)
        self.conversations = MemoryConversations(self.messages, memberships)
        self.rooms = MemoryRooms(memberships, self.messages, self.conversations)
        self.activity = MemoryActivity(self.messages, self.conversations, self.rooms)

    async def start(self) -> None:
        """See `Store.start`. Memory needs no opening."""

    async def close(self) -> None:
        """See `Store.close`. The data remains for another start."""

    async def check(self) -> None:
        """See `Store.check`. Memory always answers."""
