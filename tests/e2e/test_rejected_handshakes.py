"""A rejected handshake has the same response over polling and over a WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

HANDSHAKE = "/socket.io/?EIO=4&transport="
HANDSHAKE_RATE: dict[str, Any] = {"handshakes_per_address": 1, "rate_burst_seconds": 1}

Rejection = tuple[int, Mapping[str, str]]


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio", "wsproto"], ids=str)
def websockets(request: pytest.FixtureRequest) -> Any:
    return request.param


@asynccontextmanager
async def chat(
    websockets: type[asyncio.Protocol] | str, **settings: Any
) -> AsyncIterator[tuple[Composition, aiohttp.ClientSession]]:
    composition = compose(Settings(secret_key=SECRET, **settings))
    app = application(composition)
    async with serving(app, websockets, log_config=None) as url, aiohttp.ClientSession(url) as http:
        yield composition, http


def unexpected(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the errors in the log, except for uvicorn's own about each such response."""
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    of_uvicorn = {"ASGI callable returned without completing handshake."}
    modules = {record.module for record in caplog.records if record.message in of_uvicorn}
    return errors if "uvicorn_protocol" in modules else [*set(errors) - of_uvicorn]


async def rejections(http: aiohttp.ClientSession, **headers: str) -> list[Rejection]:
    """Return the responses to a rejected handshake over polling and over a WebSocket."""
    async with http.get(HANDSHAKE + "polling", headers=headers) as answer:
        polling = answer.status, answer.headers
    with pytest.raises(aiohttp.WSServerHandshakeError) as rejected:
        await http.ws_connect(HANDSHAKE + "websocket", headers=headers)
    assert rejected.value.headers is not None
    return [polling, (rejected.value.status, rejected.value.headers)]


async def test_handshake_above_rate_gets_429_with_retry_after(
    websockets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with chat(websockets, **HANDSHAKE_RATE) as (_, http):
        async with http.get(HANDSHAKE + "polling") as answer:
            assert answer.status == 200
        for status, headers in await rejections(http):
            assert (status, headers["Retry-After"]) == (429, "1")
    assert unexpected(caplog) == []


async def test_handshake_with_draining_server_gets_503_with_retry_after(
    websockets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with chat(websockets) as (composition, http):
        await composition.drain(0)
        for status, headers in await rejections(http):
            assert (status, headers["Retry-After"]) == (503, "1")
    assert unexpected(caplog) == []


async def test_handshake_from_foreign_origin_gets_400(
    websockets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with chat(websockets) as (_, http):
        for status, _headers in await rejections(http, Origin="https://evil.example"):
            assert status == 400
    assert unexpected(caplog) == []


async def test_handshake_is_closed_if_server_cannot_send_http_response() -> None:
    composition = compose(Settings(secret_key=SECRET, **HANDSHAKE_RATE))
    app = application(composition)

    async def without_extensions(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": {}}, receive, send)

    async with serving(without_extensions, "websockets-sansio") as url:
        async with aiohttp.ClientSession(url) as http:
            async with http.get(HANDSHAKE + "polling") as answer:
                assert answer.status == 200
            (_, (status, _headers)) = await rejections(http)
    assert status == 403
