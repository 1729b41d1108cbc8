"""The event loop of the chat, to which its locks, timers and store are bound."""

import asyncio
from collections.abc import Callable


class WrongEventLoopError(RuntimeError):
    """The chat was called from a different event loop than its own."""


class HomeLoop:
    """Remembers the event loop in which the chat was started."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_known(self) -> bool:
        """Whether the chat was ever started."""
        return self._loop is not None

    def enter(self) -> None:
        """Set the running event loop as the chat's."""
        self._loop = asyncio.get_running_loop()

    def check(self) -> None:
        """Check that the running event loop is the chat's; in another, a command would hang.

        Raises:
            WrongEventLoopError: the running loop is not the chat's.
        """
        if self._loop is not None and asyncio.get_running_loop() is not self._loop:
            raise WrongEventLoopError(
                "the chat runs in a different event loop. From a `def` route or another thread, do "
                "not use asyncio.run: call anyio.from_thread.run(chat.execute, actor, command), or "
                "asyncio.run_coroutine_threadsafe(chat.execute(actor, command), loop).result() "
                "with the application's loop"
            )

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        """Call a function in the chat's loop, from any thread.

        Raises:
            RuntimeError: the chat was never started, or its loop is closed.
        """
        if self._loop is None:
            raise RuntimeError("the chat was never started")
        self._loop.call_soon_threadsafe(callback)
