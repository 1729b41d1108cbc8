"""A store without persistence, for development, tests, and chats that may lose messages."""

from socketio_app.adapters.memory.store import MemoryStore

__all__ = ["MemoryStore"]
