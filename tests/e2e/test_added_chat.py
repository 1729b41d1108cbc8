"""The chat added to a FastAPI or Starlette application, which serves it itself."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import aiohttp
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from socketio_app import (
    Chat,
    Person,
    Settings,
    Unavailable,
    add_chat,
    create_socketio_app,
    get_chat,
)
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.application.store_capabilities import StoreError
from tests.e2e.clients import PythonClient, Transport, settled, until
from tests.e2e.json_client import PATH, JsonClient
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

SETTINGS = Settings(secret_key=SECRET)
PERSISTENCE = ["memory://", "sqlite:///{tmp_path}/chat.db"]


@pytest.fixture
def life() -> list[str]:
    """The lifecycle events of the application and the state of its chat, in order."""
    return []


def application_with_lifespan(life: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        life.append(f"started, and the chat {await state_of_chat(app)}")
        yield {"database": "connected"}
        life.append(f"ended, and the chat {await state_of_chat(app)}")

    return FastAPI(lifespan=lifespan)


async def state_of_chat(app: FastAPI) -> str:
    try:
        await cast("Chat", app.state.chat).history("ada", Person("bob"))
    except Unavailable as error:
        return re.split("[:;]", str(error))[0]
    return "runs"


async def serves_chat(url: str, transport: Transport = "websocket", **options: Any) -> bool:
    """Send a message as a new client."""
    given = {"auth": {"token": token("ada")}, **options}
    ada = await PythonClient().open(url, transport, given)
    sent = await ada.call("send_personal_message", {"to_user_id": "bob", "content": "Hello"})
    await ada.close()
    return bool(sent["ok"])


@pytest.mark.parametrize("application", [FastAPI, Starlette])
@pytest.mark.parametrize("transport", ["polling", "websocket", "upgrade"])
async def test_application_serves_chat(application: type[Starlette], transport: Transport) -> None:
    api = application()
    add_chat(api, settings=SETTINGS)

    async with serving(api) as url:
        assert await serves_chat(url, transport)


async def test_application_serves_chat_over_plain_websocket() -> None:
    api = FastAPI()
    add_chat(api, settings=SETTINGS, websocket_path=PATH)

    async with serving(api) as url:
        ada = await JsonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()


class OpenCalls:
    """Middleware that counts the WebSockets that the application has not returned from."""

    count = 0

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        OpenCalls.count += scope["type"] == "websocket"
        await self._app(scope, receive, send)
        OpenCalls.count -= scope["type"] == "websocket"


@pytest.mark.parametrize(
    ("protocol", "calls"), [(TakeoverProtocol, 0), ("websockets-sansio", 1)], ids=str
)
async def test_websockets_are_taken_over_from_uvicorn(
    protocol: type[asyncio.Protocol] | str, calls: int
) -> None:
    api = FastAPI()
    api.add_middleware(OpenCalls)
    add_chat(api, settings=SETTINGS)

    async with serving(api, protocol) as url:
        ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        await settled(ada)
        assert OpenCalls.count == calls
        await ada.close()


async def test_chat_precedes_routes_that_match_every_path() -> None:
    every: ASGIApp = PlainTextResponse("of the application")
    api = Starlette(routes=[Mount("/", every)])
    add_chat(api, settings=SETTINGS)

    async with serving(api) as url, aiohttp.ClientSession(url) as http:
        assert await serves_chat(url)
        async with http.get("/anything") as answer:
            assert await answer.text() == "of the application"


async def test_routes_of_other_modules_use_chat() -> None:
    router = APIRouter()

    @router.post("/injected")
    async def injected(chat: Annotated[Chat, Depends(get_chat)]) -> int:
        return (await chat.send("ada", Person("bob"), "Hello")).message.seq

    @router.post("/from-state")
    async def from_state(request: Request) -> int:
        chat: Chat = request.app.state.chat
        return (await chat.send("ada", Person("bob"), "Hello")).message.seq

    api = FastAPI()
    api.include_router(router, prefix="/before")
    chat = add_chat(api, settings=SETTINGS)
    api.include_router(router, prefix="/after")

    async with serving(api) as url, aiohttp.ClientSession(url) as http:
        for seq, path in enumerate(
            ("/before/injected", "/before/from-state", "/after/injected", "/after/from-state"), 1
        ):
            async with http.post(path) as answer:
                assert await answer.json() == seq
        assert len((await chat.history("bob", Person("ada"))).messages) == 4


async def test_documentation_of_api_does_not_mention_chat() -> None:
    api = FastAPI()
    add_chat(api, settings=SETTINGS)

    assert api.openapi()["paths"] == {}


async def test_chat_starts_after_application_and_stops_before_it(life: list[str]) -> None:
    api = application_with_lifespan(life)
    add_chat(api, settings=SETTINGS)

    async with serving(api) as url:
        assert await serves_chat(url)
        life.append(await state_of_chat(api))

    assert life == [
        "started, and the chat the chat has not started",
        "runs",
        "ended, and the chat the server is shutting down",
    ]


async def test_application_ends_if_chat_cannot_start(life: list[str], tmp_path: Path) -> None:
    api = application_with_lifespan(life)
    add_chat(api, settings=SETTINGS.replace(database_url=f"sqlite:///{tmp_path}/missing/chat.db"))

    with pytest.raises(StoreError, match="missing"):
        async with api.router.lifespan_context(api):
            raise AssertionError

    assert [each.partition(",")[0] for each in life] == ["started", "ended"]


async def test_requests_have_state_of_lifespan(life: list[str]) -> None:
    api = application_with_lifespan(life)
    add_chat(api, settings=SETTINGS)

    @api.get("/database")
    async def database(request: Request) -> str:
        return cast("str", request.state.database)

    async with serving(api) as url, aiohttp.ClientSession(url) as http:
        async with http.get("/database") as answer:
            assert await answer.json() == "connected"


async def test_lifespans_of_routers_run_while_chat_runs(life: list[str]) -> None:
    @asynccontextmanager
    async def lifespan(_router: object) -> AsyncIterator[dict[str, str]]:
        life.append("started")
        yield {"of": "router"}
        life.append("ended")

    api = FastAPI()
    add_chat(api, settings=SETTINGS)
    api.include_router(APIRouter(lifespan=lifespan))

    async with serving(api) as url:
        assert await serves_chat(url)
        assert life == ["started"]

    assert life == ["started", "ended"]


@pytest.mark.parametrize("database", PERSISTENCE)
async def test_application_can_start_again(database: str, tmp_path: Path) -> None:
    api = FastAPI()
    url = database.format(tmp_path=tmp_path)
    add_chat(api, settings=SETTINGS.replace(database_url=url))

    for _ in range(2):
        async with serving(api) as base_url:
            assert await serves_chat(base_url)


async def test_path_can_have_a_prefix() -> None:
    api = FastAPI()
    add_chat(api, settings=SETTINGS, socketio_path="/api/v1/chat")

    async with serving(api) as url, aiohttp.ClientSession(url) as http:
        for transport in ("polling", "websocket", "upgrade"):
            assert await serves_chat(url, transport, path="/api/v1/chat")
        async with http.get("/socket.io/?EIO=4&transport=polling") as answer:
            assert answer.status == 404


async def test_application_below_path_is_started_by_outer_lifespan() -> None:
    api = FastAPI()
    add_chat(api, settings=SETTINGS)

    @asynccontextmanager
    async def lifespan(_outer: Starlette) -> AsyncIterator[None]:
        async with api.router.lifespan_context(api):
            yield

    outer = Starlette(routes=[Mount("/chat", api)], lifespan=lifespan)

    async with serving(outer) as url:
        for transport in ("polling", "websocket", "upgrade"):
            assert await serves_chat(url, transport, path="/chat/socket.io")


@pytest.mark.parametrize("database", PERSISTENCE)
async def test_unstarted_chat_is_reported_at_first_request_and_logged_once(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = FastAPI()
    url = database.format(tmp_path=tmp_path)
    add_chat(api, settings=SETTINGS.replace(database_url=url), websocket_path=PATH)

    async with serving(Starlette(routes=[Mount("/chat", api)])) as base_url:
        async with aiohttp.ClientSession(base_url) as http:
            for _ in range(2):
                async with http.get("/chat/socket.io/?EIO=4&transport=polling") as answer:
                    assert answer.status == 500
                    assert "lifespan has not run" in await answer.text()
            for path in ("/chat/socket.io/?EIO=4&transport=websocket", f"/chat{PATH}"):
                with pytest.raises(aiohttp.WSServerHandshakeError):
                    await http.ws_connect(path)

    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "api.router.lifespan_context(api)" in record.getMessage()


async def test_chat_added_in_lifespan_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        add_chat(app, settings=SETTINGS)
        yield

    async with serving(FastAPI(lifespan=lifespan)) as url, aiohttp.ClientSession(url) as http:
        async with http.get("/socket.io/?EIO=4&transport=polling") as answer:
            assert answer.status == 500

    assert "call add_chat before the application starts, and not in its lifespan" in caplog.text


def test_second_chat_is_rejected() -> None:
    api = FastAPI()
    add_chat(api, settings=SETTINGS)

    with pytest.raises(ValueError, match="already serves a chat"):
        add_chat(api, settings=SETTINGS)
    with pytest.raises(ValueError, match="already serves a chat: serve it as it is"):
        create_socketio_app(api, settings=SETTINGS)


def test_other_applications_are_rejected() -> None:
    async def plain(_scope: object, _receive: object, _send: object) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="not function: use create_socketio_app"):
        add_chat(cast("Starlette", plain), settings=SETTINGS)


@pytest.mark.parametrize("path", ["", "/", "chat", "/chat/", "/{chat}", "/chat//one", "/a?b"])
def test_invalid_path_is_rejected(path: str) -> None:
    with pytest.raises(ValueError, match="socketio_path must be a path such as /socket"):
        add_chat(FastAPI(), settings=SETTINGS, socketio_path=path)


@pytest.mark.parametrize("websocket_path", ["/chat", "/chat/ws"])
def test_paths_must_differ(websocket_path: str) -> None:
    with pytest.raises(ValueError, match="WEBSOCKET_PATH must not be below socketio_path"):
        create_socketio_app(settings=SETTINGS, socketio_path="/chat", websocket_path=websocket_path)
