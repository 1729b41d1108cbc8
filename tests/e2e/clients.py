"""Real Socket.IO clients with one interface: Python's and the official JavaScript one.

Tests wait for conditions, not for a time: `until(client, "event")` returns when the event arrives.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import aiohttp
import attrs
import socketio

from tests.e2e import open_clients
from tests.tokens import token

Json = dict[str, Any]
Transport = Literal["polling", "websocket", "upgrade"]

PATIENCE_SECONDS = 60
NODE_CLIENT = Path(__file__).parent / "node_client"


def transports(transport: Transport) -> list[str]:
    """Return the transports to configure a client with; `upgrade` starts with polling."""
    return ["polling", "websocket"] if transport == "upgrade" else [transport]


@attrs.define
class Rejected(Exception):
    """The server answered with a CONNECT_ERROR."""

    message: str
    data: Any


@attrs.define
class Inbox:
    """The events that a client received, in order."""

    events: list[tuple[str, Any]] = attrs.field(factory=list)
    _changed: asyncio.Event = attrs.field(factory=asyncio.Event)

    def put(self, event: str, payload: Any) -> None:
        self.events.append((event, payload))
        self._changed.set()

    def of(self, event: str) -> list[Any]:
        """Return the payloads of an event received so far."""
        return [payload for name, payload in self.events if name == event]

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not met():
                self._changed.clear()
                await self._changed.wait()


class Client(Protocol):
    """One connection of one user."""

    inbox: Inbox

    async def call(self, event: str, *payload: Any) -> Any:
        """Send an event; return its acknowledgement."""
        ...

    async def send(self, event: str, *payload: Any) -> None:
        """Send an event without requesting an acknowledgement."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


async def until(client: Client, event: str, count: int = 1) -> Any:
    """Wait until an event has been received `count` times; return the payload of the last one."""
    await client.inbox.until(lambda: len(client.inbox.of(event)) >= count)
    return client.inbox.of(event)[count - 1]


async def settled(*clients: Client) -> None:
    """Wait until the clients have received everything sent to them.

    The reply to a last command follows all earlier events.
    """
    for client in clients:
        await client.call("settle", {})


class PythonClient:
    """python-socketio's client."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        # A session of our own: the client does not close its own if it is rejected.
        self._http = aiohttp.ClientSession()
        self._client = socketio.AsyncClient(reconnection=False, http_session=self._http)
        self._client.on("*", self._on_event)
        self._error: Json | None = None
        self._lost = asyncio.Event()
        self._client.on("connect_error", self._on_error)
        self._client.on("disconnect", self._on_disconnect)
        open_clients.track(self)

    async def open(self, url: str, transport: Transport, options: Json) -> Self:
        try:
            await self._client.connect(
                url,
                auth=options.get("auth"),
                headers=options.get("extraHeaders", {}),
                transports=transports(transport),
                socketio_path=options.get("path", "/socket.io/"),
                wait_timeout=PATIENCE_SECONDS,
            )
        except BaseException as error:
            await self._http.close()
            open_clients.untrack(self)
            if self._error is None or not isinstance(error, socketio.exceptions.ConnectionError):
                raise
            raise Rejected(self._error["message"], self._error.get("data")) from None
        return self

    async def _on_event(self, event: str, *payload: Any) -> None:
        self.inbox.put(event, payload[0] if payload else None)

    async def _on_disconnect(self, reason: str) -> None:
        self._lost.set()
        self.inbox.put(":disconnect", reason)

    async def _on_error(self, error: Any = None) -> None:
        if isinstance(error, dict):
            self._error = error

    async def call(self, event: str, *payload: Any) -> Any:
        # python-socketio's own `call` waits until its time-out if the connection is lost.
        asked = asyncio.ensure_future(self._client.call(event, payload, timeout=PATIENCE_SECONDS))
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            either: set[asyncio.Future[Any]] = {asked, lost}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
            raise ConnectionResetError("the connection was lost")
        finally:
            asked.cancel()
            lost.cancel()

    async def send(self, event: str, *payload: Any) -> None:
        await self._client.emit(event, payload)

    async def close(self) -> None:
        try:
            if self._lost.is_set():
                await self._client.eio.wait()
            else:
                await self._client.disconnect()
        finally:
            await self._http.close()
            open_clients.untrack(self)

    async def release(self) -> None:
        await self._http.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._client.eio.wait()


class NodeProcess:
    """A Node process that runs any number of official clients."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self._sockets: dict[int, NodeClient] = {}

    async def open(self, url: str, transport: Transport, options: Json) -> "NodeClient":
        number = len(self._sockets) + 1
        client = self._sockets[number] = NodeClient(self, number)
        given = {"reconnection": False, "transports": transports(transport), **options}
        self.send({"do": "open", "socket": number, "url": url, "options": given})
        await client.connected(transport)
        return client

    def send(self, order: Json) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            self._sockets[message["socket"]].handle(message)


class NodeClient:
    """An official JavaScript client."""

    def __init__(self, node: NodeProcess, number: int) -> None:
        self.inbox = Inbox()
        self._node = node
        self._number = number
        self._acks: list[asyncio.Future[Any]] = []

    def handle(self, message: Json) -> None:
        match message["is"]:
            case "event":
                self.inbox.put(message["event"], message["args"][0] if message["args"] else None)
            case "ack":
                self._acks[message["ack"]].set_result(
                    message["answer"][0] if message["answer"] else None
                )
            case _:
                self.inbox.put(f":{message['is']}", message)

    async def connected(self, transport: Transport) -> None:
        outcomes = (":connect", ":connect_error")
        await self.inbox.until(lambda: any(self.inbox.of(outcome) for outcome in outcomes))
        for error in self.inbox.of(":connect_error"):
            raise Rejected(error["message"], error["data"])
        if transport == "upgrade":
            await until(self, ":upgrade")

    async def call(self, event: str, *payload: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._acks.append(answer)
        self._emit(event, payload, ack=len(self._acks) - 1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await answer

    async def send(self, event: str, *payload: Any) -> None:
        self._emit(event, payload)

    async def close(self) -> None:
        self._node.send({"do": "close", "socket": self._number})

    def _emit(self, event: str, payload: tuple[Any, ...], **ack: int) -> None:
        self._node.send({"do": "emit", "socket": self._number, "args": [event, *payload], **ack})


@asynccontextmanager
async def clients(url: str, **users: Transport) -> AsyncIterator[list[Client]]:
    """Connect Python clients, each with its user and transport; yield them in order."""
    async with AsyncExitStack() as stack:
        opened: list[Client] = []
        for user, transport in users.items():
            options = {"auth": {"token": token(user)}}
            client = await PythonClient().open(url, transport, options)
            stack.push_async_callback(client.close)
            await until(client, "connected")
            opened.append(client)
        yield opened


def node_is_installed() -> bool:
    """Return whether Node and the official client are installed."""
    return shutil.which("node") is not None and (NODE_CLIENT / "node_modules").is_dir()


@asynccontextmanager
async def node_process() -> AsyncIterator[NodeProcess]:
    """Start a Node process; stop it afterwards."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(NODE_CLIENT / "driver.js"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    node = NodeProcess(process)
    listening = asyncio.create_task(node.listen())
    try:
        yield node
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening
