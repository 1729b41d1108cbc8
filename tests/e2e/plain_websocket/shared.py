"""Clients and settings of the tests of plain WebSockets."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import until
from tests.e2e.json_client import PATH, JsonClient
from tests.tokens import SECRET, token

SETTINGS = Settings(secret_key=SECRET, rate_limits=False, websocket_path=PATH)
LOBBY = {"room_id": "lobby"}
BROWSER: dict[str, Any] = {"subprotocols": [Subprotocol("bearer.ada")]}
HEADER: dict[str, Any] = {"additional_headers": {"Authorization": "Bearer ada"}}


@asynccontextmanager
async def json_client(url: str, user: str, **options: Any) -> AsyncIterator[JsonClient]:
    given = options or {"auth": {"token": token(user)}}
    client = await JsonClient().open(url, "websocket", given)
    try:
        await until(client, "connected")
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def plain(url: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A WebSocket over which nothing was sent."""
    async with connect(url.replace("http", "ws", 1) + PATH, ping_interval=None, **options) as found:
        yield found


async def asked(socket: ClientConnection, **request: Any) -> Any:
    await socket.send(json.dumps(request))
    return json.loads(await socket.recv())


async def received(socket: ClientConnection) -> None:
    """Wait until the server has read everything sent so far."""
    await (await socket.ping())


async def next_frames(socket: ClientConnection, count: int) -> list[Any]:
    return [json.loads(await socket.recv()) for _ in range(count)]


async def status_of_handshake(url: str, **headers: str) -> int:
    try:
        async with plain(url, additional_headers=headers):
            return 101
    except InvalidStatus as error:
        return error.response.status_code
