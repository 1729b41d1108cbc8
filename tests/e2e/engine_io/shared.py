"""What the tests of Engine.IO sessions share; `conftest.py` has their fixtures."""

import asyncio
from typing import Final

import pytest

from socketio_app.entrypoints.composition import Composition
from socketio_app.entrypoints.settings import Settings
from tests.e2e.test_connection_lifecycle import is_empty
from tests.tokens import SECRET, token

SETTINGS: Final = Settings(secret_key=SECRET, rate_limits=False, ping_interval_seconds=3600)
"""Without pings, so that no connection is closed only for a missing pong."""

OPEN_WEBSOCKET: Final = "/socket.io/?EIO=4&transport=websocket"
CONNECT: Final = '40{"token":"%s"}' % token("mallory")

ON_EACH_LOOP: Final = pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": use_uvloop}) for use_uvloop in (False, True)],
    ids=["asyncio", "uvloop"],
    scope="module",
)


async def until_empty(composition: Composition) -> None:
    async with asyncio.timeout(60):
        while not is_empty(composition):
            await asyncio.sleep(0.01)
