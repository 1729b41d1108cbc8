"""Errors of the chat in routes of a host application, with the exception handler."""

import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI, WebSocket

from socketio_app import Chat, ChatError, Room, Settings, add_chat, handle_chat_error
from socketio_app.domain import errors
from socketio_app.domain.errors import RateLimited, TokenRejected, Unauthenticated, Unavailable
from socketio_app.entrypoints.error_responses import STATUSES
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

RUNNING = (Path(__file__).parents[2] / "docs" / "running.md").read_text()
ERRORS = [
    each
    for each in vars(errors).values()
    if inspect.isclass(each)
    and issubclass(each, ChatError)
    and each not in {ChatError, TokenRejected}
]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    api = FastAPI()
    chat: Chat = add_chat(api, settings=Settings(secret_key=SECRET))
    api.add_exception_handler(ChatError, handle_chat_error)

    @api.post("/send")
    async def send(content: str) -> None:
        await chat.send("ada", Room("lobby"), content)

    @api.get("/limited")
    async def limited() -> None:
        raise RateLimited("too fast", retry_after_ms=1001)

    @api.get("/unavailable")
    async def unavailable() -> None:
        raise Unavailable("later")

    @api.get("/unauthenticated")
    async def unauthenticated() -> None:
        raise Unauthenticated("no", "secret reason")

    @api.websocket("/early")
    async def early(_websocket: WebSocket) -> None:
        await chat.send("ada", Room("lobby"), "Hello")

    @api.websocket("/late")
    async def late(websocket: WebSocket, *, is_closed: bool = False) -> None:
        await websocket.accept()
        if is_closed:
            await websocket.close(4000)
        await chat.send("ada", Room("lobby"), "Hello")

    @api.websocket("/busy")
    async def busy(websocket: WebSocket) -> None:
        await websocket.accept()
        raise Unavailable("later")

    async with serving(api) as base_url:
        yield base_url


async def answer(url: str, method: str, path: str) -> tuple[int, Any, Any]:
    async with aiohttp.ClientSession(url) as http, http.request(method, path) as found:
        return found.status, await found.json(), found.headers


async def test_response_has_error_and_status(url: str) -> None:
    status, body, _ = await answer(url, "POST", "/send?content=Hello")

    assert status == 403
    assert body["detail"]["code"] == "not_a_member"
    assert body["detail"]["message"]


async def test_response_names_invalid_field(url: str) -> None:
    status, body, _ = await answer(url, "POST", f"/send?content={'x' * 5000}")

    assert (status, body["detail"]["code"]) == (422, "content_too_long")
    assert body["detail"]["field"] == "content"


@pytest.mark.parametrize(
    ("path", "status", "header", "value"),
    [
        ("/limited", 429, "Retry-After", "2"),
        ("/unavailable", 503, "Retry-After", "1"),
        ("/unauthenticated", 401, "WWW-Authenticate", "Bearer"),
    ],
)
async def test_response_has_header_of_status(
    url: str, path: str, status: int, header: str, value: str
) -> None:
    found, _, headers = await answer(url, "GET", path)

    assert (found, headers[header]) == (status, value)


async def test_reason_for_operator_is_not_sent(url: str) -> None:
    _, body, _ = await answer(url, "GET", "/unauthenticated")

    assert body == {"detail": {"code": "unauthenticated", "message": "no"}}


@pytest.mark.parametrize(
    ("path", "code"), [("/late", 1008), ("/busy", 1013), ("/late?is_closed=yes", 4000)]
)
async def test_websocket_is_closed(
    url: str, path: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with aiohttp.ClientSession(url) as http, http.ws_connect(path) as websocket:
        await websocket.receive()

        assert websocket.close_code == code
    assert caplog.records == []


async def test_websocket_that_was_not_accepted_is_rejected(url: str) -> None:
    async with aiohttp.ClientSession(url) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as rejected:
            await http.ws_connect("/early")

    assert rejected.value.status == 403


async def test_other_errors_are_raised() -> None:
    with pytest.raises(LookupError):
        await handle_chat_error(None, LookupError())  # type: ignore[arg-type]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_documented_status(error: type[ChatError]) -> None:
    status = STATUSES[error.code]

    assert re.search(rf"^\| .*`{error.code}`.* \| {status} \|$", RUNNING, re.MULTILINE)
