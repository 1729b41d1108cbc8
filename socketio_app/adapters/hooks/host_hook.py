"""A function of the host application, sync or async."""

import functools
import inspect
from typing import Any

from socketio_app.adapters.hooks.threads import Threads
from socketio_app.application.hooks import Hook


class HostHook:
    """A named hook.

    Args:
        name: its name for logs and metrics.
        function: the function.
    """

    def __init__(self, name: str, function: Hook[Any]) -> None:
        self.name = name
        self._function = function
        self._is_async = _is_async(function)

    async def call(self, argument: object, threads: Threads) -> None:
        """Call the function: in this task if it is async, else in a thread."""
        if self._is_async:
            result = self._function(argument)
        else:
            result = await threads.run(self._function, argument)
        if inspect.isawaitable(result):  # a sync function may return a coroutine
            await result


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    call = getattr(function, "__call__", None)  # noqa: B004  (of an object, it may be async)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
