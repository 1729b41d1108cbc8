"""A store that lasts as long as its process: for development, tests, and chats that may forget."""

from socketio_app.adapters.memory.store import MemoryStore

__all__ = ["MemoryStore"]
