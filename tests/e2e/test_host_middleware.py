"""The middleware of an application around the chat that was added to it."""

import asyncio
import gzip
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI, Request, Response
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection

from socketio_app import Settings, add_chat
from socketio_app.entrypoints.asgi import add_to
from socketio_app.entrypoints.composition import compose
from tests.e2e.clients import PythonClient, Transport, until
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

HANDSHAKE = "/socket.io/?EIO=4&transport="
ORIGIN = "https://app.example"
SETTINGS = Settings(secret_key=SECRET, backend_cors_origins=(ORIGIN,))
TIMEOUT_SECONDS = 60


class Timed(BaseHTTPMiddleware):
    """Adds a header to each response."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["X-Timed"] = "yes"
        return response


CORS = Middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_credentials=True)
CORS_FOR_ALL = Middleware(CORSMiddleware, allow_origins=["*"])
MIDDLEWARE = [
    CORS,
    CORS_FOR_ALL,
    Middleware(GZipMiddleware, minimum_size=1),
    Middleware(SessionMiddleware, secret_key=SECRET),
    Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1"]),
    Middleware(Timed),
]


def application(*middleware: Middleware, **more: Any) -> FastAPI:
    api = FastAPI(middleware=middleware)
    add_chat(api, settings=SETTINGS, **more)
    return api


@pytest.mark.parametrize("middleware", [*([each] for each in MIDDLEWARE), MIDDLEWARE], ids=len)
@pytest.mark.parametrize("transport", ["polling", "websocket", "upgrade"])
async def test_chat_works_inside_middleware(
    middleware: list[Middleware], transport: Transport
) -> None:
    async with serving(application(*middleware)) as url:
        options = {"auth": {"token": token("ada")}, "extraHeaders": {"Origin": ORIGIN}}
        ada = await PythonClient().open(url, transport, options)
        message = {"to_user_id": "bob", "content": "Hello" * 500}
        assert (await ada.call("send_personal_message", message))["ok"]
        await ada.close()


async def response_headers(
    api: FastAPI, origin: str, headers: Mapping[str, str] = MappingProxyType({})
) -> list[tuple[str, str]]:
    """Return the headers of a response to a handshake over polling, as they were received."""
    async with serving(api) as url, aiohttp.ClientSession() as http:
        given = {"Origin": url if origin == "own" else origin, **headers}
        async with http.get(url + HANDSHAKE + "polling", headers=given) as answer:
            raw = [(name.decode(), value.decode()) for name, value in answer.raw_headers]
            return [(name, "own" if value == url else value) for name, value in raw]


@pytest.mark.parametrize(
    ("middleware", "origin", "allowed"),
    [
        ([], "own", "own"),
        ([], ORIGIN, ORIGIN),
        ([CORS], "own", "own"),
        ([CORS], ORIGIN, ORIGIN),
        ([CORS_FOR_ALL], ORIGIN, "*"),
    ],
)
async def test_response_has_one_header_with_allowed_origin(
    middleware: list[Middleware], origin: str, allowed: str
) -> None:
    headers = await response_headers(application(*middleware), origin)

    named = [(name, value) for name, value in headers if name.lower().endswith("-allow-origin")]
    assert named == [("access-control-allow-origin", allowed)]
    credentials = [value for name, value in headers if name.lower().endswith("-credentials")]
    assert credentials == ["true"]


@pytest.mark.parametrize("origin", ["own", ORIGIN, "https://evil.example"])
@pytest.mark.parametrize("middleware", [[], [CORS]], ids=len)
async def test_response_varies_with_origin(middleware: list[Middleware], origin: str) -> None:
    headers = await response_headers(application(*middleware), origin)

    varies = [value for name, value in headers if name == "vary"]
    assert set(", ".join(varies).split(", ")) == {"Origin"}


async def test_origin_that_only_middleware_allows_is_rejected_by_chat() -> None:
    middleware = Middleware(CORSMiddleware, allow_origins=["https://other.example"])

    async with serving(application(middleware)) as url, aiohttp.ClientSession(url) as http:
        headers = {"Origin": "https://other.example"}
        async with http.get(HANDSHAKE + "polling", headers=headers) as answer:
            assert answer.status == 400


async def test_names_of_headers_are_lower_case() -> None:
    names: list[bytes] = []
    api = application()

    async def record(scope: Any, receive: Any, send: Any) -> None:
        async def send_recorded(message: Any) -> None:
            names.extend(name for name, _ in message.get("headers", []))
            await send(message)

        await api(scope, receive, send_recorded)

    async with serving(record) as url, aiohttp.ClientSession(url) as http:
        for method, query in (("GET", "polling"), ("OPTIONS", "polling"), ("GET", "unknown")):
            headers = {"Origin": ORIGIN}
            async with http.request(method, HANDSHAKE + query, headers=headers) as answer:
                await answer.read()

    assert names
    assert [name for name in names if name != name.lower()] == []


async def test_polling_responses_can_be_compressed() -> None:
    api = application(Middleware(GZipMiddleware, minimum_size=1))

    async with serving(api) as url, aiohttp.ClientSession(url, auto_decompress=False) as http:
        headers = {"Accept-Encoding": "gzip"}
        async with http.get(HANDSHAKE + "polling", headers=headers) as answer:
            assert gzip.decompress(await answer.read()).startswith(b'0{"sid":')


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_token_can_be_verified_with_session_of_middleware(transport: Transport) -> None:
    def user_of(_token: str | None, request: HTTPConnection) -> str | None:
        found = request.session.get("user")
        return found if isinstance(found, str) else None

    api = application(Middleware(SessionMiddleware, secret_key=SECRET), verify_token=user_of)

    @api.post("/login")
    async def log_in(request: Request) -> None:
        request.session["user"] = "ada"

    async with serving(api) as url, aiohttp.ClientSession(url) as http:
        async with http.post("/login") as answer:
            cookie = f"session={answer.cookies['session'].value}"
        options = {"extraHeaders": {"Cookie": cookie}}
        ada = await PythonClient().open(url, transport, options)
        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_host_that_is_not_trusted_is_rejected(transport: str) -> None:
    api = application(Middleware(TrustedHostMiddleware, allowed_hosts=["app.example"]))

    async with serving(api) as url, aiohttp.ClientSession(url) as http:
        if transport == "polling":
            async with http.get(HANDSHAKE + transport) as answer:
                assert answer.status == 400
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(HANDSHAKE + transport)


@pytest.mark.parametrize("middleware", [[], [Middleware(Timed)], MIDDLEWARE], ids=len)
async def test_open_polls_are_answered_at_shutdown(middleware: list[Middleware]) -> None:
    api = FastAPI(middleware=middleware)
    composition = compose(SETTINGS)
    add_to(api, composition)

    async with AsyncExitStack() as stack, asyncio.timeout(TIMEOUT_SECONDS):
        async with serving(api, timeout_graceful_shutdown=None) as url:
            polling = await stack.enter_async_context(raw_polling(url))
            assert await polling.post(f'40{{"token":"{token("ann")}"}}') == 200
            while not any(packet.startswith('42["connected"') for packet in await polling.get()):
                pass
            poll = asyncio.create_task(polling.get())
            session = only_session(composition)
            while not session.transport.is_polled:
                await asyncio.sleep(0)
        assert await poll == ["6"]
