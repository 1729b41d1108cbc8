"""Tasks: how they start, and what happens to work that is cancelled, or whose caller is."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def start_task(work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """Start a task that takes its first step in a later turn of the loop.

    A loop may have an eager task factory, with which `asyncio.create_task` takes the first step
    before it returns, or even all steps. A caller that keeps the task in an attribute, which the
    task resets at its end, would then keep a task that is over.
    """
    return asyncio.Task(work, loop=asyncio.get_running_loop())


async def to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Do some work, to its end even where whoever asked for it is cancelled meanwhile."""
    return await asyncio.shield(start_task(work))


def we_are_cancelled() -> bool:
    """Whether it is this task that is cancelled, and not only what it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
