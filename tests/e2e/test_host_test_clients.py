"""The test clients of Starlette and httpx, with and without the application's lifespan."""

from collections.abc import Callable
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from socketio_app import (
    Chat,
    Person,
    Settings,
    Unavailable,
    add_chat,
    create_socketio_app,
    get_chat,
)
from tests.tokens import SECRET, token

HANDSHAKE = "/socket.io/?EIO=4&transport="
NOT_STARTED = "the chat has not started: the application's lifespan has not run"


def api_with_route() -> FastAPI:
    api = FastAPI()

    @api.post("/hello")
    async def hello(chat: Annotated[Chat, Depends(get_chat)]) -> int:
        return (await chat.send("ada", Person("bob"), "Hello")).message.seq

    return api


def added() -> Starlette:
    api = api_with_route()
    add_chat(api, settings=Settings(secret_key=SECRET))
    return api


def in_front() -> Starlette:
    return create_socketio_app(api_with_route(), settings=Settings(secret_key=SECRET))


@pytest.fixture(params=[added, in_front])
def app(request: pytest.FixtureRequest) -> Starlette:
    create: Callable[[], Starlette] = request.param
    return create()


def test_starlette_client_runs_chat_each_time_it_is_entered(app: Starlette) -> None:
    for seq in (1, 2):
        with TestClient(app) as client:
            assert client.post("/hello").json() == seq
            assert client.get(HANDSHAKE + "polling").status_code == 200
            with client.websocket_connect(HANDSHAKE + "websocket") as socket:
                assert socket.receive_text().startswith("0{")
                socket.send_text(f'40{{"token":"{token("ada")}"}}')
                assert socket.receive_text().startswith("40{")
                assert socket.receive_text().startswith('42["connected"')


def test_starlette_client_without_lifespan_explains_error(app: Starlette) -> None:
    client = TestClient(app)

    with pytest.raises(Unavailable, match=NOT_STARTED):
        client.post("/hello")
    answer = client.get(HANDSHAKE + "polling")
    assert (answer.status_code, answer.text) == (500, f"{NOT_STARTED}.")
    with pytest.raises(WebSocketDisconnect) as closed:
        with client.websocket_connect(HANDSHAKE + "websocket"):
            pass
    assert closed.value.reason == NOT_STARTED


@pytest.mark.anyio
async def test_httpx_calls_chat_while_lifespan_runs(app: Starlette) -> None:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        assert (await client.post("/hello")).json() == 1
        assert (await client.get(HANDSHAKE + "polling")).status_code == 200


@pytest.mark.anyio
async def test_httpx_without_lifespan_explains_error(app: Starlette) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(Unavailable, match=NOT_STARTED):
            await client.post("/hello")
        answer = await client.get(HANDSHAKE + "polling")
        assert answer.status_code == 500
        assert answer.text.startswith(NOT_STARTED)
