"""A client of the plain WebSocket with the interface of the Socket.IO clients."""

import asyncio
import json
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e import open_clients
from tests.e2e.clients import PATIENCE_SECONDS, Inbox, Json, Rejected, Transport

PATH = "/ws"


class JsonClient:
    """A connection with one JSON object per text frame."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.socket: ClientConnection
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._next_id = 0
        self._reading: asyncio.Task[None]

    async def open(self, url: str, _transport: Transport, options: Json) -> Self:
        """Open a WebSocket, and connect with the token of `auth`, or of a header or subprotocol."""
        self.socket = await connect(
            url.replace("http", "ws", 1) + PATH,
            additional_headers=options.get("extraHeaders", {}),
            subprotocols=options.get("subprotocols"),
            ping_interval=None,
        )
        self._reading = asyncio.create_task(self._read())
        open_clients.track(self)
        if "auth" in options or not {"extraHeaders", "subprotocols"} & options.keys():
            await self._connect(options.get("auth"))
        return self

    async def _connect(self, auth: Any) -> None:
        answer = await self.call("connect", auth if auth is not None else {})
        if not answer.pop("ok"):
            await self.close()
            raise Rejected(answer["error"]["message"], answer["error"])

    async def _read(self) -> None:
        try:
            async for text in self.socket:
                found = json.loads(text)
                if "event" in found:
                    self.inbox.put(found["event"], found["payload"])
                else:
                    if (
                        "connection_id" in found
                    ):  # an event over Socket.IO, the reply to `connect` here
                        fields = {name: found[name] for name in found.keys() - {"id", "ok"}}
                        self.inbox.put("connected", fields)
                    self._answers.pop(found.pop("id")).set_result(found)
        except ConnectionClosed:
            pass
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the connection was lost"))
        self.inbox.put(":disconnect", self.socket.close_code)

    async def call(self, event: str, *payload: Any) -> Any:
        """Send a command; return its reply."""
        self._next_id += 1
        request_id = self._next_id
        answer = self._answers[request_id] = asyncio.get_running_loop().create_future()
        await self._send({"id": request_id}, event, *payload)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await answer

    async def send(self, event: str, *payload: Any) -> None:
        """Send a command without requesting a reply."""
        await self._send({}, event, *payload)

    async def _send(self, envelope: Json, event: str, *payload: Any) -> None:
        given = {"payload": payload[0]} if payload else {}
        await self.socket.send(json.dumps({**envelope, "command": event, **given}))

    async def close(self) -> None:
        """Close the WebSocket."""
        await self.socket.close()
        await self._reading
        open_clients.untrack(self)

    async def release(self) -> None:
        self.socket.transport.abort()
        await self._reading
