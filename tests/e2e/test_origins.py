"""The web origins that may connect."""

from collections.abc import Sequence

import aiohttp
import pytest
from multidict import CIMultiDict

from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

HANDSHAKE = "/socket.io/?EIO=4&transport="


async def handshakes(origin: str | None, *allowed: str) -> tuple[bool, bool, str | None]:
    """Return whether an origin is allowed over polling and WebSocket, and the CORS header."""
    settings = Settings(secret_key=SECRET, backend_cors_origins=allowed)
    async with (
        serving(create_socketio_app(settings=settings)) as base_url,
        aiohttp.ClientSession(base_url) as http,
    ):
        own = base_url if origin == "own" else origin
        headers = {} if own is None else {"Origin": own}
        async with http.get(HANDSHAKE + "polling", headers=headers) as answer:
            polling = answer.status == 200
            cors = answer.headers.get("Access-Control-Allow-Origin")
        try:
            async with http.ws_connect(HANDSHAKE + "websocket", headers=headers):
                websocket = True
        except aiohttp.WSServerHandshakeError:
            websocket = False
    return polling, websocket, "own" if cors == base_url else cors


async def test_own_origin_is_allowed() -> None:
    assert await handshakes("own") == (True, True, "own")


async def test_other_origin_is_rejected_unless_configured() -> None:
    assert await handshakes("https://evil.example") == (False, False, None)


async def test_own_origin_is_allowed_besides_configured_one() -> None:
    assert await handshakes("own", "https://app.example") == (True, True, "own")


async def test_configured_origin_is_allowed() -> None:
    assert await handshakes("https://app.example", "https://app.example") == (
        True,
        True,
        "https://app.example",
    )


async def test_origin_that_is_not_configured_is_rejected() -> None:
    assert await handshakes("https://evil.example", "https://app.example") == (False, False, None)


@pytest.mark.parametrize("allowed", [(), ("https://other.example",)])
@pytest.mark.parametrize(
    "forwarded",
    [
        [("X-Forwarded-Host", "chat.example"), ("X-Forwarded-Proto", "https")],
        [("X-Forwarded-Host", "chat.example, inner.example"), ("X-Forwarded-Proto", "https,http")],
        [
            ("X-Forwarded-Host", "chat.example"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "inner.example"),
            ("X-Forwarded-Proto", "http"),
        ],
        [("X-Forwarded-Host", "chat.example"), ("X-Forwarded-Proto", "wss")],
        [("Host", "chat.example"), ("X-Forwarded-Proto", "https,http")],
    ],
)
async def test_own_origin_behind_proxies_is_allowed(
    allowed: tuple[str, ...], forwarded: Sequence[tuple[str, str]]
) -> None:
    settings = Settings(secret_key=SECRET, backend_cors_origins=allowed)
    headers = CIMultiDict([("Origin", "https://chat.example"), *forwarded])
    async with (
        serving(create_socketio_app(settings=settings)) as base_url,
        aiohttp.ClientSession(base_url) as http,
    ):
        async with http.get(HANDSHAKE + "polling", headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == "https://chat.example"
        async with http.ws_connect(HANDSHAKE + "websocket", headers=headers):
            pass


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://pr-5.example.com", True),
        ("https://example.com", False),
        ("https://.example.com", False),
        ("https://a.b.example.com", False),
        ("https://evil.example/.example.com", False),
        ("https://evil.example#.example.com", False),
        ("https://evil.example\\.example.com", False),
        ("https://evil.example:443@.example.com", False),
        ("https://a.example.com.evil.example", False),
        ("https://a.example.com:8443", False),
        ("http://a.example.com", False),
        ("https://a.exampleXcom", False),
    ],
)
async def test_star_in_an_origin_stands_for_part_of_one_label(
    origin: str, is_allowed: bool
) -> None:
    polling, websocket, cors = await handshakes(origin, "https://*.example.com")

    assert (polling, websocket) == (is_allowed, is_allowed)
    assert cors == (origin if is_allowed else None)


@pytest.mark.parametrize(
    "origin",
    [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "chrome-extension://abcdefghijklmnop",
        "null",
    ],
)
async def test_configured_app_origin_is_allowed(origin: str) -> None:
    assert await handshakes(origin, origin) == (True, True, origin)
    assert await handshakes(origin, "https://app.example") == (False, False, None)
    assert await handshakes(origin) == (False, False, None)


async def test_star_allows_every_origin() -> None:
    polling, websocket, _ = await handshakes("https://any.example", "*")

    assert (polling, websocket) == (True, True)


async def test_client_without_origin_is_allowed() -> None:
    assert await handshakes(None) == (True, True, None)
