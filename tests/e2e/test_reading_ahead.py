"""Middleware that calls `receive` of a WebSocket ahead of the chat."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.clients import clients, until
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

TIMEOUT_SECONDS = 60

Middleware = Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]


async def read_until_disconnect(receive: Receive, put: Callable[[Message], Any]) -> None:
    while True:
        message = await receive()
        put(message)
        if message["type"] == "websocket.disconnect":
            return


async def reading_from_the_start(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    messages: asyncio.Queue[Message] = asyncio.Queue()
    reader = asyncio.create_task(read_until_disconnect(receive, messages.put_nowait))
    await app(scope, messages.get, send)
    await reader


async def reading_after_the_accept(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    readers: list[asyncio.Task[None]] = []
    messages: list[Message] = []

    async def send_and_read(message: Message) -> None:
        await send(message)
        if message["type"] == "websocket.accept":
            readers.append(asyncio.create_task(read_until_disconnect(receive, messages.append)))

    await app(scope, receive, send_and_read)
    (reader,) = readers
    await reader
    assert len(messages) == 1


async def reading_after_the_call(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)
    assert (await receive())["type"] == "websocket.disconnect"
    assert (await receive())["type"] == "websocket.disconnect"


@pytest.mark.parametrize(
    "middleware", [reading_from_the_start, reading_after_the_accept, reading_after_the_call]
)
async def test_chat_works_with_middleware_that_reads_ahead(
    middleware: Middleware, caplog: pytest.LogCaptureFixture
) -> None:
    chat = create_socketio_app(settings=Settings(secret_key=SECRET, rate_limits=False))
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await chat(scope, receive, send)
            return
        await middleware(chat, scope, receive, send)
        ended.put_nowait("ended")

    async with serving(app) as url, asyncio.timeout(TIMEOUT_SECONDS):
        async with clients(url, ann="websocket", bob="upgrade") as (ann, bob):
            for _ in range(20):
                await ann.call("send_personal_message", {"to_user_id": "bob", "content": "hi"})
            await until(bob, "receive_personal_message", 20)
            await bob.call("send_personal_message", {"to_user_id": "ann", "content": "bye"})
            await until(ann, "receive_personal_message")
            assert ended.empty()
        await ended.get()
        await ended.get()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
