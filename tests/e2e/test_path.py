"""The chat is served with and without a slash at the end of its path."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio


def standalone() -> tuple[ASGIApp, str]:
    return create_socketio_app(settings=Settings(secret_key=SECRET)), ""


def mounted() -> tuple[ASGIApp, str]:
    return create_socketio_app(FastAPI(), settings=Settings(secret_key=SECRET)), ""


def below_path() -> tuple[ASGIApp, str]:
    chat_app = create_socketio_app(settings=Settings(secret_key=SECRET))

    @asynccontextmanager
    async def lifespan(_api: FastAPI) -> AsyncIterator[None]:
        async with chat_app.router.lifespan_context(chat_app):
            yield

    api = FastAPI(lifespan=lifespan)
    api.mount("/chat", chat_app)
    return api, "/chat"


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("application", [standalone, mounted, below_path])
async def test_polling_and_websockets_are_served(application: object, slash: str) -> None:
    assert callable(application)
    app, prefix = application()
    path = f"{prefix}/socket.io{slash}?EIO=4&transport="
    async with serving(app) as url, aiohttp.ClientSession(url) as http:
        async with http.get(path + "polling", allow_redirects=False) as answer:
            assert answer.status == 200
            sid = json.loads((await answer.text())[1:])["sid"]
        connect = f'40{{"token":"{token("ann")}"}}'
        poll = f"{path}polling&sid={sid}"
        async with http.post(poll, data=connect, allow_redirects=False) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        async with http.ws_connect(path + "websocket") as websocket:
            assert (await websocket.receive_str()).startswith("0{")
            await websocket.send_str(connect)
            assert (await websocket.receive_str()).startswith("40{")
