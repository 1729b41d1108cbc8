"""The chat mounted before a host application, which is unaffected."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from socketio_app.application.commands import Actor, JoinRoom, SendMessage
from socketio_app.domain.conversations import Person, Room
from socketio_app.domain.errors import NotAMember, Unavailable
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.entrypoints.mounted_app import HostLifespanError
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.clients import PythonClient, Rejected, until
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

HOST_SETTINGS = SimpleNamespace(SECRET_KEY=SECRET, PROJECT_NAME="my project")

Get = Callable[[str], Awaitable[tuple[int, Any]]]


@pytest.fixture
def life() -> list[str]:
    """The lifecycle events of the host, in order."""
    return []


@pytest.fixture
def host(life: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        life.append("started")
        yield {"database": "connected"}
        life.append("ended")

    app = FastAPI(lifespan=lifespan)

    class HostError(Exception):
        pass

    @app.exception_handler(HostError)
    async def handle(_request: Request, _error: HostError) -> JSONResponse:
        return JSONResponse({"handled": "by the host"}, status_code=418)

    @app.get("/items/{item}", name="item")
    async def read_item(request: Request, item: int) -> dict[str, str]:
        return {
            "url": str(request.url_for("item", item=item)),
            "root_path": request.scope["root_path"],
            "database": request.state.database,
            "app": "the host's" if request.app is app else "another's",
        }

    @app.get("/missing")
    async def missing() -> None:
        raise HTTPException(404, "not here")

    @app.get("/broken")
    async def broken() -> None:
        raise HostError

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    @app.post("/announce")
    async def announce(request: Request) -> dict[str, int]:
        chat = request.app.state.chat
        await chat.execute(Actor(UserId("herald")), JoinRoom(RoomId("lobby")))
        sent = await chat.execute(
            Actor(UserId("herald")), SendMessage(Room(RoomId("lobby")), "Hear, hear")
        )
        return {"seq": sent.message.seq}

    return app


@pytest.fixture
async def url(host: FastAPI) -> AsyncIterator[str]:
    app = create_socketio_app(host, settings=HOST_SETTINGS)
    host.state.chat = app.state.chat
    async with serving(app) as base_url:
        yield base_url


@pytest.fixture
async def get(url: str) -> AsyncIterator[Get]:
    async with aiohttp.ClientSession(url) as http:

        async def get_json(path: str) -> tuple[int, Any]:
            async with http.get(path) as answer:
                return answer.status, await answer.json()

        yield get_json


async def client(base_url: str, user_id: str, **options: Any) -> PythonClient:
    given = options or {"auth": {"token": token(user_id)}}
    return await PythonClient().open(base_url, "websocket", given)


async def test_host_routes_work_unchanged(url: str, get: Get) -> None:
    status, body = await get("/items/7")

    assert status == 200
    assert body == {
        "url": f"{url}/items/7",
        "root_path": "",
        "database": "connected",
        "app": "the host's",
    }


async def test_host_handles_its_own_errors(get: Get) -> None:
    answers = [await get(path) for path in ("/missing", "/nowhere", "/broken")]

    assert answers == [
        (404, {"detail": "not here"}),
        (404, {"detail": "Not Found"}),
        (418, {"handled": "by the host"}),
    ]


async def test_mounted_chat_serves_no_health_checks(get: Get) -> None:
    status, body = await get("/healthz")

    assert (status, body) == (404, {"detail": "Not Found"})


async def test_host_handles_its_own_websockets(url: str) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/echo") as websocket:
        await websocket.send_str("hello")

        assert await websocket.receive_str() == "hello"


async def test_chat_is_served_beside_host(url: str) -> None:
    ada = await client(url, "ada")

    assert (await ada.call("join_room", {"room_id": "lobby"}))["ok"]
    await ada.close()


async def test_host_route_can_send_message(url: str) -> None:
    ada = await client(url, "ada")
    await ada.call("join_room", {"room_id": "lobby"})

    async with aiohttp.ClientSession() as http, http.post(f"{url}/announce") as answer:
        assert await answer.json() == {"seq": 1}

    received = await until(ada, "receive_group_message")
    assert (received["from_user_id"], received["content"]) == ("herald", "Hear, hear")
    await ada.close()


async def test_host_starts_and_shuts_down_once_and_after_chat(
    host: FastAPI, life: list[str]
) -> None:
    app = create_socketio_app(host, settings=HOST_SETTINGS)
    async with serving(app) as base_url:
        assert life == ["started"]
        ada = await client(base_url, "ada")
        await ada.close()

    assert life == ["started", "ended"]


async def test_failed_host_startup_fails_application_startup() -> None:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    app = create_socketio_app(FastAPI(lifespan=lifespan), settings=HOST_SETTINGS)

    with pytest.raises(HostLifespanError, match="no database"):
        async with app.router.lifespan_context(app):
            pass


async def test_asgi_host_needs_no_lifespan() -> None:
    async def plain(scope: Scope, _receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    app = create_socketio_app(plain, settings=HOST_SETTINGS)

    async with serving(app) as base_url, aiohttp.ClientSession(base_url) as http:
        async with http.get("/anything") as answer:
            assert await answer.text() == "/anything"


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_host_can_verify_tokens(asynchronous: bool) -> None:
    def verify(given: str) -> str | None:
        return given.removeprefix("session-of-") if given.startswith("session-of-") else None

    async def verify_async(given: str) -> str | None:
        return verify(given)

    app = create_socketio_app(
        settings=SimpleNamespace(), verify_token=verify_async if asynchronous else verify
    )

    async with serving(app) as base_url:
        ada = await client(base_url, "ada", auth={"token": "session-of-ada"})
        assert (await until(ada, "connected"))["user_id"] == "ada"
        with pytest.raises(Rejected) as rejected:
            await client(base_url, "ada", auth={"token": token("ada")})
        assert rejected.value.data["code"] == "unauthenticated"
        await ada.close()


async def test_host_commands_follow_same_rules(url: str, host: FastAPI) -> None:
    chat = host.state.chat
    bob = await client(url, "bob")

    with pytest.raises(NotAMember):
        await chat.execute(Actor(UserId("ada")), SendMessage(Room(RoomId("lobby")), "hello"))
    await chat.execute(Actor(UserId("ada")), SendMessage(Person(UserId("bob")), "hello"))

    assert (await until(bob, "receive_personal_message"))["content"] == "hello"
    await bob.close()


def mounted_below_path(settings: object, *, with_lifespan: bool) -> FastAPI:
    chat_app = create_socketio_app(settings=settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with chat_app.router.lifespan_context(chat_app):
            yield

    outer = FastAPI(lifespan=lifespan if with_lifespan else None)
    outer.mount("/below", chat_app)
    return outer


@pytest.mark.parametrize("database", ["memory://", "sqlite:///{tmp_path}/chat.db"])
async def test_chat_below_path_is_started_by_outer_lifespan(database: str, tmp_path: Path) -> None:
    settings = Settings(secret_key=SECRET, database_url=database.format(tmp_path=tmp_path))

    async with serving(mounted_below_path(settings, with_lifespan=True)) as base_url:
        for transport in ("polling", "websocket"):
            options = {"auth": {"token": token("ada")}, "path": "/below/socket.io"}
            ada = await PythonClient().open(base_url, transport, options)
            answer = await ada.call("send_personal_message", {"to_user_id": "bob", "content": "Hi"})
            assert answer["ok"]
            await ada.close()


@pytest.mark.parametrize("database", ["memory://", "sqlite:///{tmp_path}/chat.db"])
async def test_unstarted_chat_is_reported_at_first_request_and_logged_once(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(secret_key=SECRET, database_url=database.format(tmp_path=tmp_path))

    async with serving(mounted_below_path(settings, with_lifespan=False)) as base_url:
        async with aiohttp.ClientSession(base_url) as http:
            for _ in range(2):
                async with http.get("/below/socket.io/?EIO=4&transport=polling") as answer:
                    assert answer.status == 500
                    assert "lifespan has not run" in await answer.text()
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect("/below/socket.io/?EIO=4&transport=websocket")

    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "chat_app.router.lifespan_context(chat_app)" in record.getMessage()


@pytest.mark.parametrize("database", ["memory://", "sqlite:///{tmp_path}/chat.db"])
async def test_calling_unstarted_chat_explains_error(database: str, tmp_path: Path) -> None:
    settings = Settings(secret_key=SECRET, database_url=database.format(tmp_path=tmp_path))
    chat = create_socketio_app(settings=settings).state.chat

    with pytest.raises(Unavailable, match="the application's lifespan has not run"):
        await chat.execute(Actor(UserId("ada")), SendMessage(Person(UserId("bob")), "Hello"))


async def test_host_that_runs_without_its_chat_logs_warning(
    host: FastAPI, life: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    create_socketio_app(host, settings=HOST_SETTINGS)
    app = create_socketio_app(host, settings=HOST_SETTINGS)

    async with serving(app):
        assert "runs without the chat" not in caplog.text
    async with serving(host):
        assert life == ["started", "ended", "started"]

    assert caplog.text.count("serve the application that create_socketio_app returned") == 1
