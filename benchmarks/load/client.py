"""Clients that do as little as possible for each frame.

picows reads and writes the frames in C. What an official client does for each event would cost more
than the server's part, so that the clients would be measured.
"""

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import attrs
import picows

SENT_AT = b"#sent at "
"""Precedes, in a message's content, the sender's clock in nanoseconds and another `#`."""


class RefusedError(Exception):
    """The server rejected or closed a connection."""


@attrs.define
class Tally:
    """Counts of all clients together."""

    frames: int = 0
    deliveries: int = 0
    refusals: list[bytes] = attrs.field(factory=list)
    lost: int = 0
    arrivals: list[tuple[int, bytes]] | None = None
    """While it is a list: when each message with `SENT_AT` arrived, in nanoseconds, and its frame.

    Reading the time in it would delay the next ones, which would count as latency.
    """
    when_delivered: Callable[["Client"], None] | None = None
    """Called with the sender when the server confirms the delivery of a message."""
    when_received: Callable[["Client"], None] | None = None
    """Called with the recipient when it receives a message."""


class Client(picows.WSListener, ABC):
    """A user's connection."""

    path: ClassVar[str]
    """Path and query of the server's URL."""
    received: ClassVar[bytes]
    """Beginning of the frames with messages."""
    delivered: ClassVar[tuple[bytes, ...]]
    """Beginnings of the frames that confirm a delivery."""
    refused: ClassVar[bytes]
    """Beginning of the frames with errors."""

    def __init__(self, user_id: str, token: str, tally: Tally) -> None:
        loop = asyncio.get_running_loop()
        self.user_id = user_id
        self.ready: asyncio.Future[None] = loop.create_future()
        self._token, self._tally = token, tally
        self._answer: asyncio.Future[None] | None = None
        self._is_closing = False
        self._transport: picows.WSTransport

    @abstractmethod
    def command(self, name: str, *, asks: bool = False, **payload: object) -> str:
        """Return the frame of a command, which asks for an answer or does not."""

    @abstractmethod
    def _on_other(self, frame: bytes) -> None:
        """Handle a frame that is neither a message, a confirmation nor an error."""

    def send(self, frame: str) -> None:
        """Send a frame."""
        self._transport.send(picows.WSMsgType.TEXT, frame.encode())

    def emit(self, name: str, **payload: object) -> None:
        """Send a command."""
        self.send(self.command(name, asks=False, **payload))

    async def ask(self, name: str, **payload: object) -> None:
        """Send a command and wait for its answer; one at a time."""
        self._answer = asyncio.get_running_loop().create_future()
        self.send(self.command(name, asks=True, **payload))
        await self._answer

    def close(self) -> None:
        """Drop the connection without a Close frame."""
        self._is_closing = True
        self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """See picows."""
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Count a frame; the most frequent kinds are tested first."""
        data, tally = frame.get_payload_as_bytes(), self._tally
        tally.frames += 1
        if data.startswith(self.received):
            tally.deliveries += 1
            if tally.arrivals is not None and SENT_AT in data:
                tally.arrivals.append((time.perf_counter_ns(), data))
            if tally.when_received is not None:
                tally.when_received(self)
        elif data.startswith(self.delivered):
            if tally.when_delivered is not None:
                tally.when_delivered(self)
        elif data.startswith(self.refused):
            tally.refusals.append(data)
        else:
            self._on_other(data)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Count a lost connection, and fail what waits for it."""
        if self._is_closing:
            return
        self._tally.lost += 1
        self._fail(RefusedError("the server closed the connection"))

    def _fail(self, error: RefusedError) -> None:
        for future in (self.ready, self._answer):
            if future is not None and not future.done():
                future.set_exception(error)


class SocketIOClient(Client):
    """A connection over Socket.IO (Engine.IO 4 over a WebSocket)."""

    path = "/socket.io/?EIO=4&transport=websocket"
    received = b'42["receive_'
    delivered = (b'42["group_message_delivered"', b'42["personal_message_delivered"')
    refused = b'42["error"'

    def command(self, name: str, *, asks: bool = False, **payload: object) -> str:
        """See `Client.command`."""
        return ("421" if asks else "42") + json.dumps([name, payload])

    def _on_other(self, frame: bytes) -> None:
        if frame == b"2":
            self.send("3")
        elif frame.startswith(b"0{"):
            self.send("40" + json.dumps({"token": self._token}))
        elif frame.startswith(b"40"):
            self.ready.set_result(None)
        elif frame.startswith(b"431") and self._answer is not None:
            self._answer.set_result(None)
        elif frame.startswith(b"44"):
            self._fail(RefusedError(frame.decode()))


class JsonClient(Client):
    """A connection over a plain WebSocket, with one JSON object per frame."""

    path = "/ws"
    received = b'{"event":"receive_'
    delivered = (b'{"event":"group_message_delivered"', b'{"event":"personal_message_delivered"')
    refused = b'{"event":"error"'

    def command(self, name: str, *, asks: bool = False, **payload: object) -> str:
        """See `Client.command`."""
        identified = {"id": 1} if asks else {}
        return json.dumps({**identified, "command": name, "payload": payload})

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Authenticate."""
        super().on_ws_connected(transport)
        self.send(self.command("connect", asks=True, token=self._token))

    def _on_other(self, frame: bytes) -> None:
        if not frame.startswith(b'{"id":1,'):
            return
        if not self.ready.done():
            self.ready.set_result(None)
        elif self._answer is not None:
            self._answer.set_result(None)


TRANSPORTS: Mapping[str, Sequence[type[Client]]] = {
    "socketio": [SocketIOClient],
    "json": [JsonClient],
    "both": [SocketIOClient, JsonClient],
}
"""What clients use, in turn."""
