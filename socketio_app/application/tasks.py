"""Work that is cancelled, or whose caller is."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Do some work, to its end even where whoever asked for it is cancelled meanwhile."""
    return await asyncio.shield(asyncio.create_task(work))


def we_are_cancelled() -> bool:
    """Whether it is this task that is cancelled, and not only what it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
