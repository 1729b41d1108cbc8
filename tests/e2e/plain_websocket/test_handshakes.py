"""Handshakes of plain WebSockets that are rejected."""

import aiohttp
import pytest

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.json_client import PATH
from tests.e2e.plain_websocket.shared import SETTINGS, status_of_handshake
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio


async def test_web_origin_that_is_not_allowed_is_rejected(url: str) -> None:
    assert await status_of_handshake(url, Origin="http://elsewhere") == 403
    assert await status_of_handshake(url, Origin=url) == 101


async def test_rejected_web_origins_are_logged_at_a_limited_rate(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await status_of_handshake(url, Origin="http://elsewhere")

    lines = [line.message for line in caplog.records if "web origin" in line.message]
    assert lines == ["refused a web origin: http://elsewhere"]


async def test_too_many_handshakes_from_an_address_are_rejected() -> None:
    settings = Settings(secret_key=SECRET, websocket_path=PATH, handshakes_per_address=1)
    async with serving(application(compose(settings))) as url:
        statuses = {await status_of_handshake(url) for _ in range(60)}

    assert statuses == {101, 429}


async def test_server_without_takeover_rejects_the_handshake() -> None:
    app = application(compose(SETTINGS))
    async with serving(app, "websockets-sansio") as url:
        assert await status_of_handshake(url) == 501


async def test_without_a_path_there_is_no_plain_websocket() -> None:
    app = application(compose(SETTINGS.replace(websocket_path="")))
    async with serving(app) as url:
        assert await status_of_handshake(url) in {403, 404}


async def test_get_request_is_not_found(url: str) -> None:
    async with aiohttp.ClientSession(url) as http, http.get(PATH) as answer:
        assert answer.status in {404, 405}
