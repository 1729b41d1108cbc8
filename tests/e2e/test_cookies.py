"""Hosts that authenticate browsers with HttpOnly cookies."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI, Request, Response
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection

from socketio_app import add_chat, create_socketio_app
from socketio_app.entrypoints.settings import Settings, SettingsError
from tests.e2e.clients import (
    PythonClient,
    Rejected,
    Transport,
    node_is_installed,
    node_process,
    until,
)
from tests.e2e.conftest import NO_NODE
from tests.e2e.json_client import PATH, JsonClient
from tests.e2e.plain_websocket.shared import plain, status_of_handshake
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

SESSIONS = {"session-of-ada": "ada", "session-of-bob": "bob"}
COOKIE = MappingProxyType({"Cookie": "theme=dark; session=session-of-ada"})
HANDSHAKE = "/socket.io/?EIO=4&transport="


def verify(token: str | None, request: HTTPConnection) -> str | None:
    return SESSIONS.get(token or request.cookies.get("session", ""))


async def verify_async(token: str | None, request: HTTPConnection) -> str | None:
    return verify(token, request)


@asynccontextmanager
async def host(verify_token: Callable[..., Any] = verify, **settings: Any) -> AsyncIterator[str]:
    """Serve a host that sets a cookie when its users log in."""
    api = FastAPI()

    @api.post("/login")
    async def log_in(user: str, response: Response) -> None:
        response.set_cookie("session", f"session-of-{user}", httponly=True)

    given = {"WEBSOCKET_PATH": PATH, **settings}
    async with serving(create_socketio_app(api, settings=given, verify_token=verify_token)) as url:
        yield url


@pytest.mark.parametrize("transport", ["polling", "websocket", "upgrade"])
@pytest.mark.parametrize("verify_token", [verify, verify_async])
async def test_cookie_authenticates_without_a_token(
    verify_token: Callable[..., Any], transport: Transport
) -> None:
    async with host(verify_token) as url:
        ada = await PythonClient().open(url, transport, {"extraHeaders": dict(COOKIE)})

        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()


async def test_official_client_connects_with_a_cookie() -> None:
    if not node_is_installed():
        assert not os.environ.get("CI"), NO_NODE
        pytest.skip(NO_NODE)
    async with host() as url, node_process() as node:
        ada = await node.open(url, "upgrade", {"extraHeaders": dict(COOKIE)})

        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()


async def test_cookie_authenticates_over_a_plain_websocket() -> None:
    async with host() as url:
        ada = await JsonClient().open(url, "websocket", {"auth": {}, "extraHeaders": dict(COOKIE)})

        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()


async def test_cookie_of_the_login_route_connects() -> None:
    async with host() as url, aiohttp.ClientSession(url) as http:
        async with http.post("/login", params={"user": "bob"}) as answer:
            cookie = {"Cookie": f"session={answer.cookies['session'].value}"}

        bob = await PythonClient().open(url, "websocket", {"extraHeaders": cookie})

        assert (await until(bob, "connected"))["user_id"] == "bob"
        await bob.close()


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_session_of_the_middleware_authenticates(transport: Transport) -> None:
    api = FastAPI()
    api.add_middleware(SessionMiddleware, secret_key=SECRET)

    @api.post("/login")
    async def log_in(request: Request) -> None:
        request.session["user_id"] = 42

    def verify_session(_token: str | None, request: HTTPConnection) -> object:
        return request.session.get("user_id")

    add_chat(api, settings={}, verify_token=verify_session)
    async with serving(api) as url, aiohttp.ClientSession(url) as http:
        async with http.post("/login") as answer:
            cookie = {"Cookie": f"session={answer.cookies['session'].value}"}

        user = await PythonClient().open(url, transport, {"extraHeaders": cookie})

        assert (await until(user, "connected"))["user_id"] == "42"
        await user.close()


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_client_without_cookie_and_token_is_rejected(transport: Transport) -> None:
    async with host() as url:
        with pytest.raises(Rejected) as rejected:
            await PythonClient().open(url, transport, {})

    assert rejected.value.data["code"] == "unauthenticated"


async def test_token_is_passed_besides_the_request() -> None:
    async with host() as url:
        options = {"auth": {"token": "session-of-bob"}, "extraHeaders": dict(COOKIE)}
        bob = await PythonClient().open(url, "websocket", options)

        assert (await until(bob, "connected"))["user_id"] == "bob"
        await bob.close()


async def test_cookie_of_the_connection_does_not_stand_in_for_a_refreshed_token() -> None:
    def verify_cookie(_token: str | None, request: HTTPConnection) -> str | None:
        return SESSIONS.get(request.cookies.get("session", ""))

    async with host(verify_cookie) as url:
        ada = await PythonClient().open(url, "websocket", {"extraHeaders": dict(COOKIE)})
        answer = await ada.call("refresh_token", {"token": "expired"})
        await ada.close()

    assert answer["error"]["code"] == "unauthenticated"


async def test_client_that_disconnects_needs_a_new_session_to_connect_again() -> None:
    async with host() as url, aiohttp.ClientSession(url, headers=COOKIE) as http:
        async with http.ws_connect(f"{HANDSHAKE}websocket") as raw:
            await raw.send_str("40")
            while not (await raw.receive_str()).startswith("42"):
                pass
            await raw.send_str("41")
            await raw.send_str("40")

            answer = await raw.receive_str()

    assert answer.startswith("44")
    assert "connecting again needs a new session" in answer


async def test_request_has_the_headers_query_and_address_of_the_client() -> None:
    seen: list[tuple[Any, ...]] = []

    def verify_request(_token: str | None, request: HTTPConnection) -> str:
        client = request.client
        seen.append(
            (request.headers["x-tenant"], request.query_params["EIO"], client and client[0])
        )
        return "ada"

    async with host(verify_request) as url:
        ada = await PythonClient().open(url, "polling", {"extraHeaders": {"X-Tenant": "acme"}})
        await ada.close()

    assert seen == [("acme", "4", "127.0.0.1")]


# Cross-site WebSocket hijacking: a browser sends its cookies whatever website it shows.


@pytest.mark.parametrize("origins", [[], ["https://app.example"], ["https://*.app.example"]])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_no_other_website_can_connect_with_its_visitors_cookies(
    origin: str, origins: list[str]
) -> None:
    headers = {**COOKIE, "Origin": origin}
    async with (
        host(BACKEND_CORS_ORIGINS=origins) as url,
        aiohttp.ClientSession(url, headers=headers) as http,
    ):
        async with http.get(f"{HANDSHAKE}polling") as answer:
            assert answer.status == HTTPStatus.BAD_REQUEST
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"{HANDSHAKE}websocket")
        assert await status_of_handshake(url, **headers) == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("path", ["polling&j=0", "polling&j=0&t=1"])
async def test_no_website_can_read_the_id_of_a_session_as_a_script(path: str) -> None:
    """A browser sends no `Origin` with a script, which any website may include."""
    async with host() as url, aiohttp.ClientSession(url, headers=COOKIE) as http:
        async with http.get(HANDSHAKE + path) as answer:
            assert answer.status == HTTPStatus.BAD_REQUEST
            assert "sid" not in await answer.text()


async def test_own_pages_and_named_origins_connect_with_cookies() -> None:
    async with host(BACKEND_CORS_ORIGINS=["https://app.example"]) as url:
        for origin in (url, "https://app.example"):
            headers = {**COOKIE, "Origin": origin}
            ada = await PythonClient().open(url, "websocket", {"extraHeaders": headers})
            assert (await until(ada, "connected"))["user_id"] == "ada"
            await ada.close()
            async with plain(url, additional_headers=headers):
                pass


@pytest.mark.parametrize("origin", ["*", "null"])
def test_origins_of_any_website_are_refused_with_the_request(origin: str) -> None:
    settings = Settings(backend_cors_origins=[origin])

    with pytest.raises(SettingsError, match=r"^BACKEND_CORS_ORIGINS must not have .* cookies"):
        create_socketio_app(settings=settings, verify_token=verify)

    create_socketio_app(settings=settings, verify_token=lambda _token: "ada")
