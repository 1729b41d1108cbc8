"""Rooms with more connections than one slice, with every WebSocket implementation."""

import asyncio

import attrs
import pytest
from websockets.exceptions import ConnectionClosed

from socketio_app.adapters.fanout.large_rooms import SLICE_CONNECTIONS as DEFAULT_SLICE
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.members import Compression, all_messages_reach_all_members, connected
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

SLICE_CONNECTIONS = 3
RECIPIENTS = 2 * SLICE_CONNECTIONS + 1


@attrs.frozen
class WebSockets:
    """uvicorn's WebSocket implementation, and whether the client offers compression."""

    ws: type[asyncio.Protocol] | str
    compression: Compression = None

    def __str__(self) -> str:
        name = self.ws if isinstance(self.ws, str) else self.ws.__name__
        return f"{name}-{self.compression}" if self.compression else name


KINDS = [
    WebSockets(TakeoverProtocol),
    WebSockets(TakeoverProtocol, "deflate"),
    WebSockets("websockets-sansio"),
    WebSockets("websockets-sansio", "deflate"),
    WebSockets("wsproto"),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_members_of_large_room_get_all_messages_in_order(kind: WebSockets) -> None:
    settings = Settings(secret_key=SECRET, rate_limits=False)
    app = application(compose(settings, slice_connections=SLICE_CONNECTIONS))
    async with serving(app, kind.ws, ws_per_message_deflate=kind.compression is not None) as url:
        await all_messages_reach_all_members(url, RECIPIENTS, kind.compression)


@pytest.mark.parametrize("slice_connections", [SLICE_CONNECTIONS, DEFAULT_SLICE])
async def test_failed_write_closes_only_its_connection(
    slice_connections: int, caplog: pytest.LogCaptureFixture
) -> None:
    composition = compose(
        Settings(secret_key=SECRET, rate_limits=False), slice_connections=slice_connections
    )
    async with serving(application(composition)) as url:
        async with connected(url, "eve", None) as broken:
            await broken.ask("join_room", {"room_id": "lobby"})
            socket = only_session(composition)
            connection = socket.transport
            connection._websocket.write = broken_write
            connection._set_direct_writer(connection._websocket)

            await all_messages_reach_all_members(url, RECIPIENTS, None)

            with pytest.raises(ConnectionClosed):
                await broken.receive_until_closed()
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == [
        "internal error while writing to a connection"
    ]


def broken_write(_frame: bytes) -> None:
    raise OSError("broken")


async def test_room_above_default_slice_size() -> None:
    settings = Settings(secret_key=SECRET, rate_limits=False)
    async with serving(application(compose(settings)), "websockets-sansio") as url:
        await all_messages_reach_all_members(url, DEFAULT_SLICE + 20, None)
