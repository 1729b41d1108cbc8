"""Upgrades and WebSocket handshakes: how many are allowed, and the effects of a failed one."""

import asyncio
import contextlib
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from starlette.types import Message, Receive, Scope, Send

from socketio_app.adapters.engineio.upgrade import MAX_PROBES
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition
from tests.e2e.engine_io.shared import CONNECT, OPEN_WEBSOCKET, until_empty
from tests.e2e.engine_io.test_engine_io import next_text
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving

pytestmark = pytest.mark.anyio

JOIN = '421["join_room",{"room_id":"lobby"}]'


async def test_session_has_one_upgrade_at_a_time(url: str, composition: Composition) -> None:
    async with raw_polling(url) as polling, aiohttp.ClientSession(url) as http:
        await polling.post(CONNECT)
        websocket_url = f"{OPEN_WEBSOCKET}&sid={polling.url.rpartition('sid=')[2]}"
        async with AsyncExitStack() as stack:
            opening = [stack.enter_async_context(http.ws_connect(websocket_url)) for _ in range(20)]
            opened = await asyncio.gather(*opening, return_exceptions=True)
            (websocket,) = [
                each for each in opened if isinstance(each, aiohttp.ClientWebSocketResponse)
            ]
            rejected = [each for each in opened if isinstance(each, aiohttp.WSServerHandshakeError)]
            assert len(rejected) == 19

            await websocket.send_str("2probe")
            await next_text(websocket, "3probe")
            await websocket.send_str("5")
            await websocket.send_str(JOIN)
            await next_text(websocket, "431")
    await until_empty(composition)


@pytest.mark.parametrize("sent", [[], ["2probe"], ["x"]], ids=repr)
async def test_upgrade_can_be_retried_after_failure(url: str, sent: list[str]) -> None:
    async with raw_polling(url) as polling, aiohttp.ClientSession(url) as http:
        await polling.post(CONNECT)
        websocket_url = f"{OPEN_WEBSOCKET}&sid={polling.url.rpartition('sid=')[2]}"
        async with http.ws_connect(websocket_url) as first:
            for packet in sent:
                await first.send_str(packet)
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            second = None
            while second is None:  # until the server has noticed
                with contextlib.suppress(aiohttp.WSServerHandshakeError):
                    second = await stack.enter_async_context(http.ws_connect(websocket_url))

            await second.send_str("2probe")

            await next_text(second, "3probe")


async def test_number_of_failed_upgrades_is_limited_and_polling_continues(
    url: str,
) -> None:
    async with raw_polling(url) as polling, aiohttp.ClientSession(url) as http:
        await polling.post(CONNECT)
        websocket_url = f"{OPEN_WEBSOCKET}&sid={polling.url.rpartition('sid=')[2]}"
        opened = rejected = 0
        while rejected < 100 and opened <= MAX_PROBES:
            try:
                async with http.ws_connect(websocket_url):
                    opened, rejected = opened + 1, 0
            except aiohttp.WSServerHandshakeError:
                rejected += 1  # the server may not have noticed the end of the last one yet

        assert opened == MAX_PROBES
        assert any(packet.startswith("40") for packet in await polling.get())


@pytest.mark.parametrize("websockets", [TakeoverProtocol, "websockets-sansio"])
async def test_websocket_of_session_that_ended_before_accept_is_closed(
    websockets: Any, composition: Composition
) -> None:
    is_waiting, may_go_on = asyncio.Event(), asyncio.Event()
    app = application(composition)

    async def accepts_slowly(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_slowly(message: Message) -> None:
            if message["type"] == "websocket.accept":
                is_waiting.set()
                await may_go_on.wait()
            await send(message)

        await app(scope, receive, send_slowly)

    async with serving(accepts_slowly, websockets) as url, aiohttp.ClientSession(url) as http:
        opening = asyncio.create_task(http.ws_connect(OPEN_WEBSOCKET))
        await is_waiting.wait()

        await composition.drain(0)
        may_go_on.set()

        async with await opening as websocket:
            while (message := await websocket.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
    await until_empty(composition)


@pytest.mark.parametrize("query", ["EIO=4&transport=polling", "EIO=4"])
async def test_websocket_with_polling_query_is_rejected(
    url: str, composition: Composition, query: str
) -> None:
    async with aiohttp.ClientSession(url) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"/socket.io/?{query}")

    await until_empty(composition)


async def test_negotiated_compression_works(composition: Composition) -> None:
    app = application(composition)
    async with serving(app, TakeoverProtocol, ws_per_message_deflate=True) as url:
        async with aiohttp.ClientSession(url) as http:
            async with http.ws_connect(OPEN_WEBSOCKET, compress=15) as websocket:
                assert websocket.compress
                await websocket.send_str(CONNECT)
                await next_text(websocket, '42["connected"')
