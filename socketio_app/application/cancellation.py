"""Starting tasks, and shielding work from the cancellation of its caller."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def start_task(work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """Start a task that never runs before this function returns.

    With an eager task factory, `asyncio.create_task` runs the task's first step, or even all of
    it, before it returns. A caller that stores the task in an attribute, which the task resets
    when it ends, would then store a finished task.
    """
    return asyncio.Task(work, loop=asyncio.get_running_loop())


async def run_to_completion(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to completion even if the caller is cancelled."""
    return await asyncio.shield(start_task(work))


def is_current_task_cancelled() -> bool:
    """Whether the current task is being cancelled, and not only the awaitable it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
