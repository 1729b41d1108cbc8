"""Health and readiness checks for supervisors and load balancers."""

from typing import Any

import aiohttp
import pytest

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.serving import serving
from tests.stores import HookedStore, Outage
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio


def chat(*, outage: Outage) -> Composition:
    return compose(Settings(secret_key=SECRET), store=HookedStore(outage))


async def get(url: str, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession(url) as http, http.get(path) as answer:
        assert answer.headers["cache-control"] == "no-store"
        return answer.status, await answer.json()


async def test_server_with_available_store_is_alive_and_ready() -> None:
    async with serving(application(chat(outage=Outage()))) as url:
        assert await get(url, "/healthz") == (200, {"status": "ok"})
        assert await get(url, "/readyz") == (200, {"status": "ok"})


async def test_server_with_unavailable_store_is_alive_and_not_ready() -> None:
    outage = Outage()
    outage.down.add("check")

    async with serving(application(chat(outage=outage))) as url:
        assert await get(url, "/healthz") == (200, {"status": "ok"})
        assert await get(url, "/readyz") == (
            503,
            {"status": "unavailable", "reason": "store_unavailable"},
        )


async def test_draining_server_is_alive_and_not_ready() -> None:
    composition = chat(outage=Outage())

    async with serving(application(composition)) as url:
        composition.chat.readiness.drain()

        assert await get(url, "/healthz") == (200, {"status": "ok"})
        assert await get(url, "/readyz") == (503, {"status": "unavailable", "reason": "draining"})
