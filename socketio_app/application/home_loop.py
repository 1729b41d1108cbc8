"""The event loop that a chat runs in: its locks, timers and store belong to that one alone."""

import asyncio


class WrongEventLoopError(RuntimeError):
    """The chat was used from another event loop than the one it runs in, or from none."""


class HomeLoop:
    """Remembers the loop in which the chat was started."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_known(self) -> bool:
        """Whether the chat was ever started."""
        return self._loop is not None

    def enter(self) -> None:
        """Make the running loop the chat's."""
        self._loop = asyncio.get_running_loop()

    def check(self) -> None:
        """Refuse to run in another loop, where a command would wait for ever.

        Raises:
            WrongEventLoopError: the running loop is not the chat's.
        """
        if self._loop is not None and asyncio.get_running_loop() is not self._loop:
            raise WrongEventLoopError(
                "the chat runs in another event loop. From a `def` route or another thread, do not "
                "use asyncio.run: call anyio.from_thread.run(chat.execute, actor, command), or "
                "asyncio.run_coroutine_threadsafe(chat.execute(actor, command), loop).result() "
                "with the application's loop"
            )
