"""A uvicorn server of the host shuts down while polls are open."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.raw_client import RawPolling, raw_polling
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

TIMEOUT_SECONDS = 60


async def connect(polling: RawPolling, user: str) -> None:
    assert await polling.post(f'40{{"token":"{token(user)}"}}') == 200
    while not any(packet.startswith('42["connected"') for packet in await polling.get()):
        pass


async def handshake_status(url: str) -> int:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/socket.io/?EIO=4&transport=polling") as answer:
            return answer.status


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_open_polls_are_answered(http: str, caplog: pytest.LogCaptureFixture) -> None:
    composition = compose(Settings(secret_key=SECRET))
    app = application(composition)
    async with AsyncExitStack() as stack, asyncio.timeout(TIMEOUT_SECONDS):
        async with serving(app, http=http) as url:
            polling = await stack.enter_async_context(raw_polling(url))
            await connect(polling, "ann")
            poll = asyncio.create_task(polling.get())
            socket = only_session(composition)
            while not socket.transport.is_polled:
                await asyncio.sleep(0)
        assert await poll == ["6"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_stopped_chat_does_not_block_server_shutdown() -> None:
    composition = compose(Settings(secret_key=SECRET))
    app = application(composition)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        async with serving(app, lifespan="off", timeout_graceful_shutdown=None) as url:
            for _ in range(2):
                await composition.start()
                assert await handshake_status(url) == 200
                await composition.stop()
                assert await handshake_status(url) == 503
