"""Serves a chat with the settings of a test, and connects users to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient
from tests.e2e.frame_client import Transport
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

Serve = Callable[..., AbstractAsyncContextManager[tuple[Composition, str]]]


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"])
def serve(request: pytest.FixtureRequest) -> Serve:
    """Return a function that serves a chat with the given settings."""

    @asynccontextmanager
    async def serve_chat(**settings: Any) -> AsyncIterator[tuple[Composition, str]]:
        composition = compose(Settings(secret_key=SECRET, **settings))
        async with serving(application(composition), request.param) as url:
            yield composition, url

    return serve_chat


@pytest.fixture(params=["polling", "websocket"])
def transport(request: pytest.FixtureRequest) -> Transport:
    found: Transport = request.param
    return found


async def open_client(url: str, user_id: str, transport: Transport, **claims: Any) -> PythonClient:
    auth = {"token": token(user_id, **claims)}
    return await PythonClient().open(url, transport, {"auth": auth})
