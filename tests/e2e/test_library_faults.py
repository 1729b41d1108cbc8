"""Default behavior of python-socketio, python-engineio and uvicorn that the chat must avoid."""

import asyncio
import gc
import json
import select
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import aiohttp
import pytest
from engineio.payload import Payload

from socketio_app.adapters.websocket import asgi_websocket, owned_connection
from socketio_app.adapters.websocket.close_reasons import TRANSPORT_CLOSE
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.application.commands import Actor, JoinRoom, SendMessage
from socketio_app.domain.conversations import Room
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.engine_io.shared import until_empty
from tests.e2e.frame_client import FrameClient, Transport
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.e2e.test_connection_lifecycle import SlowVerifier
from tests.e2e.test_serving import served
from tests.stores import HookedStore
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

SETTINGS = Settings(secret_key=SECRET, rate_limits=False, ping_interval_seconds=3600)
"""Without pings, so that no connection is closed only for a missing pong."""
PATHS = {"takeover": TakeoverProtocol, "asgi": "websockets-sansio"}
SEND = '["send_group_message",{"room_id":"lobby","content":"%s"}]'

on_each_path = pytest.mark.parametrize("websockets", PATHS.values(), ids=PATHS)
over_each_transport = pytest.mark.parametrize("transport", ["polling", "websocket", "upgrade"])


class Serve(Protocol):
    """Serves a chat until the test ends; returns its base URL. `options` are those of `serving`."""

    def __call__(
        self, composition: Composition, websockets: Any = TakeoverProtocol, **options: Any
    ) -> Awaitable[str]: ...


class Connect(Protocol):
    """Connects a user until the test ends, and joins rooms. `options` are the client's."""

    def __call__(
        self, url: str, user_id: str, transport: str, *rooms: str, **options: Any
    ) -> Awaitable[FrameClient]: ...


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def serve_chat(
            composition: Composition, websockets: Any = TakeoverProtocol, **options: Any
        ) -> str:
            app = application(composition)
            return await stack.enter_async_context(serving(app, websockets, **options))

        yield serve_chat


@pytest.fixture
async def connect(serve: Serve) -> AsyncIterator[Connect]:
    del serve  # the servers must outlast the clients
    async with AsyncExitStack() as stack:

        async def connect_user(
            url: str, user_id: str, transport: str, *rooms: str, **options: Any
        ) -> FrameClient:
            first: Transport = "websocket" if transport == "websocket" else "polling"
            client = await FrameClient.open(url, first, **options)
            stack.push_async_callback(client.release)
            joins = [client.command('["join_room",{"room_id":"%s"}]' % room) for room in rooms]
            await client.send_and_settle(['40{"token":"%s"}' % token(user_id), *joins])
            if transport == "upgrade":
                await client.upgrade(do_nothing, "after the probe", [])
            return client

        yield connect_user


async def do_nothing() -> None:
    """Do nothing during the upgrade."""


@on_each_path
async def test_client_that_neither_reads_nor_answers_pings_is_disconnected(
    serve: Serve, connect: Connect, websockets: Any
) -> None:
    composition = compose(SETTINGS.replace(ping_interval_seconds=1, ping_timeout_seconds=1))
    url = await serve(composition, websockets, system_buffer_bytes=8192)
    tasks = len(asyncio.all_tasks())
    stalled = await connect(url, "ada", "websocket", "lobby", has_small_buffer=True)

    await flood_lobby(composition)

    async with asyncio.timeout(60):
        while composition.chat.connection_count or len(asyncio.all_tasks()) > tasks:
            await asyncio.sleep(0.01)
        while not is_closed_by_server(stalled):
            await asyncio.sleep(0.01)


@on_each_path
async def test_closing_does_not_wait_for_client_that_reads_nothing(
    serve: Serve, connect: Connect, websockets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (asgi_websocket, owned_connection):
        monkeypatch.setattr(module, "CLOSE_TIMEOUT_SECONDS", 0.1)
    composition = compose(SETTINGS)
    url = await serve(composition, websockets, system_buffer_bytes=8192)
    stalled = await connect(url, "ada", "websocket", "lobby", has_small_buffer=True)
    await flood_lobby(composition)

    composition.chat.disconnect_user("ada")

    async with asyncio.timeout(60):
        while not is_closed_by_server(stalled):
            await asyncio.sleep(0.01)


async def flood_lobby(composition: Composition) -> None:
    """Send the lobby more than the system buffers, and less than the unread limit."""
    bob = Actor(UserId("bob"))
    await composition.chat.execute(bob, JoinRoom(RoomId("lobby")))
    for _ in range(150):
        await composition.chat.execute(bob, SendMessage(Room(RoomId("lobby")), "x" * 4000))
    assert composition.chat.connection_count == 1


def is_closed_by_server(client: FrameClient) -> bool:
    """Return whether the server has closed the TCP connection, according to the client's system."""
    assert client.websocket is not None
    asked = select.poll()
    asked.register(client.websocket.fileno(), 0)
    return asked.poll(0) != []


@on_each_path
async def test_websocket_that_closes_during_authentication_leaves_no_session(
    serve: Serve, websockets: Any
) -> None:
    verifier = SlowVerifier()
    composition = compose(SETTINGS, verify_token=verifier)
    client = await FrameClient.open(await serve(composition, websockets), "websocket")
    assert client.websocket is not None
    client.websocket.send(['40{"token":"ada"}'])
    await verifier.asked.wait()
    connection = only_session(composition)

    await client.release()
    async with asyncio.timeout(60):
        while connection.transport.write_directly is not None:  # it has not noticed
            await asyncio.sleep(0)
    verifier.answer.set()

    await until_empty(composition)


class UnevenDelays:
    """A hook that delays calls to the store so that a later call may return earlier."""

    def __init__(self) -> None:
        self._calls = 0

    async def __call__(self, _call: str) -> None:
        self._calls += 1
        for _ in range(self._calls * 7 % 10):
            await asyncio.sleep(0)


@on_each_path
@over_each_transport
async def test_commands_of_client_are_handled_in_order_whatever_their_duration(
    serve: Serve, connect: Connect, websockets: Any, transport: str
) -> None:
    composition = compose(SETTINGS, store=HookedStore(before=UnevenDelays()))
    client = await connect(await serve(composition, websockets), "ada", transport, "lobby")
    client.received.clear()

    await client.send_and_settle([client.command(SEND % number) for number in range(100)])

    *answers, _ = [packet for packet in client.received if packet.startswith("43")]
    messages = [json.loads(answer.lstrip("0123456789"))[0]["message"] for answer in answers]
    contents = [(message["seq"], message["content"]) for message in messages]
    assert contents == [(number + 1, str(number)) for number in range(100)]


async def test_poll_responses_have_no_more_packets_than_clients_accept(
    serve: Serve, connect: Connect
) -> None:
    url = await serve(compose(SETTINGS))
    ada = await connect(url, "ada", "websocket", "lobby")
    bob = await connect(url, "bob", "polling", "lobby")

    await ada.send_and_settle(["42" + SEND % number for number in range(100)])

    received: list[str] = []
    while sum('["receive_group_message"' in packet for packet in received) < 100:
        async with bob.http.get(bob.url) as answer:
            packets = (await answer.text()).split("\x1e")
        assert len(packets) <= Payload.max_decode_packets
        received += packets


async def test_standalone_server_negotiates_no_compression(tmp_path: Path) -> None:
    async with served(tmp_path, SECRET_KEY=SECRET) as server:
        async with aiohttp.ClientSession(server.url) as http:
            path = "/socket.io/?EIO=4&transport=websocket"
            async with http.ws_connect(path, compress=15) as websocket:
                assert not websocket.compress


@on_each_path
@over_each_transport
async def test_connection_creates_no_class(
    serve: Serve, connect: Connect, websockets: Any, transport: str
) -> None:
    url = await serve(compose(SETTINGS), websockets)
    await connect(url, "ada", transport)  # and create what is created only once
    with without_garbage_collection():
        before = classes()

        await connect(url, "ada", transport)

        assert classes() == before


def classes() -> int:
    # `isinstance` would read `__class__` of a weak proxy, whose object may be gone.
    return sum(issubclass(type(each), type) for each in gc.get_objects())


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disable garbage collection, so that unreachable cycles such as classes stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_idle_websocket_has_no_task_or_timer(serve: Serve, connect: Connect) -> None:
    url = await serve(compose(SETTINGS))
    await connect(url, "ada", "websocket")
    async with asyncio.timeout(60):
        before = tasks_and_timers()

        for transport in ["websocket", "upgrade"] * 10:
            client = await connect(url, "ada", transport)
            await client.http.close()

        while tasks_and_timers() > before:
            await asyncio.sleep(0)


def tasks_and_timers() -> int:
    loop: Any = asyncio.get_running_loop()
    return len(asyncio.all_tasks()) + sum(not each.cancelled() for each in loop._scheduled)


async def test_cost_of_disconnecting_depends_only_on_own_rooms(
    serve: Serve, connect: Connect
) -> None:
    few, many = [await lines_of_leaving(serve, connect, others) for others in (5, 50)]

    assert many < few + 45 / 2  # no line for each of the other users


async def lines_of_leaving(serve: Serve, connect: Connect, others: int) -> int:
    """Count the lines that run when a user disconnects while others are in other rooms as well."""
    composition = compose(SETTINGS)
    url = await serve(composition)
    ada = await connect(url, "ada", "websocket", "lobby", "den")
    for number in range(others):
        await connect(url, f"user{number}", "websocket", "lobby", f"room{number}")
    connection = composition.server.context.sessions[ada.sid]
    with count_lines() as lines:
        connection.close_now(TRANSPORT_CLOSE)
    return len(lines)


@contextmanager
def count_lines() -> Iterator[list[int]]:
    """Record the lines that run within the context."""
    lines: list[int] = []

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            lines.append(frame.f_lineno)
        return trace

    traced = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(traced)
