"""The event loop of the chat, to which its locks, timers and store are bound."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from socketio_app.application.calling_thread import ENDED, CallingThread
from socketio_app.domain.errors import Unavailable

NOT_STARTED: Final = "the chat has not started: the application's lifespan has not run"

OTHER_PROCESS: Final = (
    "A process that does not serve the application, such as a worker of a task queue, cannot use "
    "its chat: call a route of the application"
)


class WrongEventLoopError(RuntimeError):
    """The chat was called from a different event loop than its own."""


class HomeLoop:
    """Remembers the event loop in which the chat was started."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process_id = 0

    @property
    def is_known(self) -> bool:
        """Whether the chat was ever started."""
        return self._loop is not None

    def enter(self) -> None:
        """Set the running event loop as the chat's."""
        self._loop = asyncio.get_running_loop()
        self._process_id = os.getpid()

    def check(self) -> None:
        """Check that the running event loop is the chat's; in another, a command would hang.

        Raises:
            Unavailable: the chat was never started, or this is a fork of its process.
            WrongEventLoopError: the running loop is not the chat's.
        """
        if self._known() is not asyncio.get_running_loop():
            raise WrongEventLoopError(
                "the chat runs in a different event loop. From a `def` route or another thread, do "
                "not use asyncio.run: call chat.from_thread.send(...) or, in a `def` route, "
                "anyio.from_thread.run(chat.execute, actor, command), or "
                "asyncio.run_coroutine_threadsafe(chat.execute(actor, command), loop).result() "
                "with the application's loop"
            )

    def calling_thread(self) -> CallingThread:
        """Return this thread, which may wait for the chat's loop.

        Raises:
            Unavailable: the chat's loop does not run in this process.
            WrongEventLoopError: it runs in this thread.
        """
        loop = self._known()
        if not loop.is_running():
            raise Unavailable(ENDED)
        if _running_loop() is loop:
            raise WrongEventLoopError(
                "chat.from_thread would block the event loop of the chat, in which this code runs: "
                "await the chat's own methods instead"
            )
        return CallingThread(loop)

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        """Call a function in the chat's loop, from any thread.

        Raises:
            RuntimeError: the loop is closed.
            Unavailable: as for `check`.
        """
        self._known().call_soon_threadsafe(callback)

    def call_here_or_soon(self, callback: Callable[[], object]) -> None:
        """Call a function in the chat's loop: now if that runs here, soon if in another thread.

        Raises:
            Unavailable: the loop does not run in this process.
        """
        loop = self._known()
        if _running_loop() is loop:
            callback()
            return
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:
            raise Unavailable(ENDED) from None

    def _known(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._process_id != os.getpid():
            raise Unavailable(f"{NOT_STARTED}. {OTHER_PROCESS}")
        return self._loop


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
