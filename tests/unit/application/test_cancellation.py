"""Starting tasks."""

import asyncio
from typing import Any

import pytest

from socketio_app.application.cancellation import start_task

pytestmark = pytest.mark.anyio


async def test_task_does_not_start_eagerly() -> None:
    loop = asyncio.get_running_loop()
    eager: Any = getattr(asyncio, "eager_task_factory", None)
    loop.set_task_factory(eager)
    steps: list[str] = []

    async def work() -> str:
        steps.append("started")
        return "result"

    try:
        task = start_task(work())
    finally:
        loop.set_task_factory(None)

    assert steps == []
    assert await task == "result"
