"""Fixtures that run end-to-end tests with each client over each transport."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import attrs
import pytest

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e import open_clients
from tests.e2e.clients import (
    Client,
    NodeProcess,
    PythonClient,
    Transport,
    node_is_installed,
    node_process,
)
from tests.e2e.json_client import PATH, JsonClient
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

NO_NODE = "Node is not installed, so the official JavaScript client is NOT TESTED"


@attrs.frozen
class Kind:
    """A kind of client, and its transport."""

    client: str
    transport: Transport
    websockets: type[asyncio.Protocol] | str = TakeoverProtocol
    """The value of uvicorn's `ws`: the takeover, or an ASGI implementation."""

    def __str__(self) -> str:
        path = "" if self.websockets is TakeoverProtocol else "-asgi"
        return f"{self.client}-{self.transport}{path}"


KINDS = [
    Kind(client, transport)
    for client in ("python", "javascript")
    for transport in ("polling", "websocket", "upgrade")
] + [
    Kind("python", "websocket", "websockets-sansio"),
    Kind("python", "upgrade", "websockets-sansio"),
    Kind("json", "websocket"),
]


class Connect(Protocol):
    """Connects a user; `options` are options of the client, such as `auth` and `extraHeaders`."""

    def __call__(self, user_id: str, **options: Any) -> Awaitable[Client]: ...


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not node_is_installed():
        terminalreporter.section(NO_NODE, sep="!", red=True)
    skipped = {report.longrepr[2] for report in terminalreporter.getreports("skipped")}
    for reason in sorted(skipped):
        if "NOT TESTED" in reason and NO_NODE not in reason:
            terminalreporter.section(reason.removeprefix("Skipped: "), sep="!", red=True)


@pytest.fixture(autouse=True)
async def release_clients(anyio_backend: object) -> AsyncIterator[None]:
    """Release the clients that a failed test has left open."""
    open_clients.forget_all()
    yield
    await open_clients.release_all()


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    if found.client == "javascript" and not node_is_installed():
        if os.environ.get("CI"):
            pytest.fail(NO_NODE)
        pytest.skip(NO_NODE)
    return found


@pytest.fixture
def settings() -> Settings:
    return Settings(secret_key=SECRET, rate_limits=False)


@pytest.fixture
async def url(settings: Settings, kind: Kind) -> AsyncIterator[str]:
    """Serve a standalone chat; yield its URL."""
    app = create_socketio_app(settings=settings, websocket_path=PATH)
    async with serving(app, kind.websockets) as base_url:
        yield base_url


@pytest.fixture
async def node(kind: Kind) -> AsyncIterator[NodeProcess | None]:
    if kind.client != "javascript":
        yield None
        return
    async with node_process() as process:
        yield process


@pytest.fixture
async def connect(url: str, kind: Kind, node: NodeProcess | None) -> AsyncIterator[Connect]:
    """Return a function that connects users; they disconnect after the test."""
    async with AsyncExitStack() as stack:

        async def connect_user(user_id: str, **options: Any) -> Client:
            given = options or {"auth": {"token": token(user_id)}}
            open_client: Callable[..., Awaitable[Client]]
            if kind.client == "json":
                open_client = JsonClient().open
            else:
                open_client = PythonClient().open if node is None else node.open
            client = await open_client(url, kind.transport, given)
            stack.push_async_callback(client.close)
            return client

        yield connect_user
