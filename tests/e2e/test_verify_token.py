"""A host's own `verify_token`."""

import asyncio
from typing import Any, Literal

import pytest

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from tests.e2e.clients import PythonClient
from tests.e2e.engine_io.shared import SETTINGS
from tests.e2e.serving import serving

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_verify_token_can_use_timeouts_and_task_groups(
    transport: Literal["polling", "websocket"],
) -> None:
    async def verify(given: str) -> str:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(0))
        return given

    chat: Any = compose(SETTINGS, verify_token=verify)
    async with serving(application(chat)) as url:
        ada = await PythonClient().open(url, transport, {"auth": {"token": "ada"}})

        assert (await ada.call("join_room", {"room_id": "lobby"}))["ok"]

        await ada.close()
