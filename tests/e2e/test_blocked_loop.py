"""A host application that blocks the event loop causes no disconnects."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

import aiohttp
import attrs
import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.engine_io.shared import CONNECT, OPEN_WEBSOCKET
from tests.e2e.engine_io.test_engine_io import next_text
from tests.e2e.raw_client import RawPolling, raw_polling
from tests.e2e.serving import serving_in_a_thread
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

PING_INTERVAL_SECONDS = 1
TIMEOUT_SECONDS = 3
"""The time limits for pongs, connects and upgrades."""

BLOCKED_SECONDS = PING_INTERVAL_SECONDS + TIMEOUT_SECONDS + 0.5
COMMAND = '421["list_conversations",{}]'


@attrs.define
class Server:
    """The chat mounted before an application that blocks its event loop on request."""

    http: aiohttp.ClientSession
    url: str
    is_blocked: threading.Event

    async def block(self) -> "asyncio.Task[None]":
        """Block the event loop; return a task that ends when it is no longer blocked."""
        blocking = asyncio.create_task(self._block())
        assert await asyncio.to_thread(self.is_blocked.wait, 10)
        return blocking

    async def _block(self) -> None:
        async with self.http.get("/block") as answer:
            assert answer.status == 200


@pytest.fixture(
    params=[
        (TakeoverProtocol, None),
        # uvloop runs timers before it handles new data; asyncio runs them after it.
        (TakeoverProtocol, uvloop.new_event_loop),
        ("websockets-sansio", None),
    ],
    ids=["takeover", "takeover-uvloop", "asgi"],
)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    is_blocked = threading.Event()

    async def block(_request: Request) -> Response:
        is_blocked.set()
        time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251  (what a host should not do)
        return Response()

    settings = Settings(
        secret_key=SECRET,
        ping_interval_seconds=PING_INTERVAL_SECONDS,
        ping_timeout_seconds=TIMEOUT_SECONDS,
        connect_timeout_seconds=TIMEOUT_SECONDS,
    )
    app = create_socketio_app(Starlette(routes=[Route("/block", block)]), settings=settings)
    websockets, loop_factory = request.param
    with serving_in_a_thread(app, websockets, loop_factory=loop_factory) as url:
        async with aiohttp.ClientSession(url) as http:
            yield Server(http, url, is_blocked)


Client = Callable[[Server], AsyncGenerator[None, None]]
"""The actions of a client before, while and after the loop is blocked."""


async def answers_a_ping(server: Server) -> AsyncGenerator[None, None]:
    async with server.http.ws_connect(OPEN_WEBSOCKET) as websocket:
        await websocket.send_str(CONNECT)
        await next_text(websocket, "2")
        yield
        await websocket.send_str("3")
        yield
        await websocket.send_str(COMMAND)
        assert is_ok(await next_text(websocket, "431["))


async def answers_a_ping_by_polling(server: Server) -> AsyncGenerator[None, None]:
    async with raw_polling(server.url) as polling:
        await polling.post(CONNECT)
        await until_pinged(polling)
        yield
        posting = asyncio.create_task(polling.post("3"))
        yield
        assert await posting == 200
        assert await polling.post(COMMAND) == 200


async def polls(server: Server) -> AsyncGenerator[None, None]:
    async with raw_polling(server.url) as polling:
        await polling.post(CONNECT)
        await until_pinged(polling)
        await polling.post("3")
        polled = asyncio.create_task(polling.http.get(polling.url))
        await polling.post("3")  # now the poll is open
        yield
        yield
        async with await polled as answer:
            assert (answer.status, await answer.text()) == (200, "2")


async def connects(server: Server) -> AsyncGenerator[None, None]:
    async with server.http.ws_connect(OPEN_WEBSOCKET) as websocket:
        await next_text(websocket, "0")
        yield
        await websocket.send_str(CONNECT)
        yield
        await next_text(websocket, '42["connected"')


async def upgrades(server: Server) -> AsyncGenerator[None, None]:
    async with raw_polling(server.url) as polling:
        await polling.post(CONNECT)
        session = polling.url.rpartition("sid=")[2]
        async with server.http.ws_connect(f"{OPEN_WEBSOCKET}&sid={session}") as websocket:
            await websocket.send_str("2probe")
            await next_text(websocket, "3probe")
            yield
            await websocket.send_str("5")
            await websocket.send_str(COMMAND)
            yield
            assert is_ok(await next_text(websocket, "431["))


async def test_blocked_event_loop_closes_no_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "socketio_app.adapters.engineio.upgrade.UPGRADE_TIMEOUT_SECONDS", TIMEOUT_SECONDS
    )
    kinds: Sequence[Client] = (answers_a_ping, answers_a_ping_by_polling, polls, connects, upgrades)
    clients = [kind(server) for kind in kinds]
    await asyncio.gather(*[anext(client) for client in clients])

    blocking = await server.block()
    await asyncio.gather(*[anext(client) for client in clients])
    await blocking

    ended = [anext(client, "well") for client in clients]
    assert await asyncio.gather(*ended) == ["well"] * len(clients)


async def until_pinged(polling: RawPolling) -> None:
    async with asyncio.timeout(60):
        while "2" not in await polling.get():
            pass


def is_ok(acknowledgement: str) -> bool:
    (answer,) = json.loads(acknowledgement[acknowledgement.index("[") :])
    return bool(answer["ok"])
