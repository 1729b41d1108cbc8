"""Locks by key."""

from asyncio import Lock
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class KeyedLock:
    """A lock for each key, which exists only while it is held or awaited."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[Lock, int]] = {}

    @asynccontextmanager
    async def holding(self, key: Hashable) -> AsyncIterator[None]:
        """Hold the key's lock. Waiters acquire it in order."""
        lock, users = self._locks.get(key, (Lock(), 0))
        self._locks[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = lock, users - 1
