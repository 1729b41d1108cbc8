"""HTTP routes that the composition adds to the chat, standalone and before a host's."""

import aiohttp
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from socketio_app import Chat, Room, chat_of, create_socketio_app
from socketio_app.application.ports import TokenVerifier
from socketio_app.entrypoints import composition
from socketio_app.entrypoints.settings import Settings
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio


def history_route(chat: Chat, verifier: TokenVerifier) -> BaseRoute:
    async def history(request: Request) -> Response:
        identity = await verifier.verify(request.headers["authorization"].removeprefix("Bearer "))
        page = await chat.history(identity.user_id, Room(request.path_params["room_id"]))
        return JSONResponse([message.content for message in page.messages])

    return Route("/rooms/{room_id}/history", history)


@pytest.mark.parametrize("host", [None, FastAPI()], ids=["standalone", "mounted"])
async def test_route_answers_for_the_user_of_a_token(
    host: FastAPI | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "HTTP_ROUTES", (history_route,))
    app = create_socketio_app(host, settings=Settings(secret_key=SECRET))
    headers = {"Authorization": f"Bearer {token('ada')}"}

    async with serving(app) as url, aiohttp.ClientSession(url, headers=headers) as http:
        await chat_of(app).join("ada", "lobby")
        await chat_of(app).send("ada", Room("lobby"), "hello")
        async with http.get("/rooms/lobby/history") as answer:
            assert (answer.status, await answer.json()) == (200, ["hello"])
