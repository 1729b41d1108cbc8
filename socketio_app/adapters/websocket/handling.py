"""Handling of messages. An error is logged, so that it affects no later message."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

import attrs

from socketio_app.application.cancellation import is_current_task_cancelled

log = logging.getLogger("socketio_app.socketio")

Message = TypeVar("Message")


@attrs.frozen
class InTask:
    """Work that must be done in a task, because code of the host application may be involved."""

    coroutine: Coroutine[Any, Any, object]

    def __await__(self) -> Generator[Any, Any, object]:
        return self.coroutine.__await__()


Work = Coroutine[Any, Any, object] | InTask
"""What is left to do for a message."""


def start(handle: Callable[[Message], Work | None], message: Message) -> Work | None:
    """Start handling a message; return what is left to do, if anything."""
    try:
        return handle(message)
    except Exception as error:  # noqa: BLE001  (it is logged)
        log_error(error)
        return None


async def complete(work: Awaitable[object]) -> None:
    """Do what is left. Raises nothing unless the current task is cancelled."""
    try:
        await work
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (it is logged)
        log_error(error)


def log_error(error: BaseException) -> None:
    """Log the error of a message, or raise it if it is the cancellation of the current task."""
    if not isinstance(error, asyncio.CancelledError):
        log.error("internal error while handling a client's message", exc_info=error)
    elif is_current_task_cancelled():
        raise error
    else:
        log.error("cancelled while handling a client's message", exc_info=error)
