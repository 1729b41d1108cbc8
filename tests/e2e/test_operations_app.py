"""Health checks and metrics of a mounted chat, in the application that it is mounted in."""

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from socketio_app import Settings, add_chat, chat_of, create_socketio_app, operations_app
from tests.e2e.clients import PythonClient
from tests.e2e.serving import serving
from tests.stores import HookedStore, Outage
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

SETTINGS = Settings(secret_key=SECRET)


def added(**options: Any) -> Starlette:
    api = FastAPI()
    chat = add_chat(api, settings=SETTINGS, **options)
    api.mount("/internal", operations_app(chat))
    return api


def in_front(**options: Any) -> Starlette:
    api = FastAPI()
    app = create_socketio_app(api, settings=SETTINGS, **options)
    api.mount("/internal", operations_app(chat_of(app)))
    return app


@pytest.fixture(params=[added, in_front])
def create(request: pytest.FixtureRequest) -> Callable[..., Starlette]:
    found: Callable[..., Starlette] = request.param
    return found


async def get(url: str, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession(url) as http, http.get(f"/internal{path}") as answer:
        return answer.status, await answer.text()


async def test_mounted_chat_is_alive_and_ready(create: Callable[..., Starlette]) -> None:
    async with serving(create()) as url:
        assert await get(url, "/healthz") == (200, '{"status":"ok"}')
        assert await get(url, "/readyz") == (200, '{"status":"ok"}')


async def test_mounted_chat_is_not_ready_while_store_is_unavailable() -> None:
    outage = Outage()

    async with serving(added(store=HookedStore(outage))) as url:
        outage.down.add("check")
        status, body = await get(url, "/readyz")

    assert (status, body) == (503, '{"status":"unavailable","reason":"store_unavailable"}')


async def test_unstarted_chat_is_alive_and_not_ready(create: Callable[..., Starlette]) -> None:
    async with serving(create(), lifespan="off") as url:
        assert await get(url, "/healthz") == (200, '{"status":"ok"}')
        assert await get(url, "/readyz") == (503, '{"status":"unavailable","reason":"not_started"}')


async def test_mounted_chat_exports_metrics(create: Callable[..., Starlette]) -> None:
    async with serving(create(metrics=True)) as url:
        ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        await ada.call("join_room", {"room_id": "lobby"})
        status, text = await get(url, "/metrics")
        await ada.close()

    assert status == 200
    assert "chat_connections 1.0" in text
    assert 'chat_commands_total{command="join_room",outcome="ok"} 1.0' in text


async def test_metrics_are_not_collected_unless_requested(create: Callable[..., Starlette]) -> None:
    app = create()

    async with serving(app) as url:
        status, _ = await get(url, "/metrics")

    assert status == 404
    assert chat_of(app).metrics is None
