"""One client: Engine.IO 4 over a WebSocket, frame by frame, with as little work as can be.

picows reads and writes the frames in C. What an official client does for each event would cost more
than the server's part, and it would be the clients that are measured.
"""

import asyncio
import json
import time
from collections.abc import Callable

import attrs
import picows

RECEIVED = b'42["receive_'
DELIVERED = (b'42["group_message_delivered"', b'42["personal_message_delivered"')
REFUSED = b'42["error"'
SENT_AT = b"#sent at "
"""Stands in a message's content before the sender's clock, in nanoseconds, and another `#`."""


class RefusedError(Exception):
    """The server did not let a client in, or let it go."""


@attrs.define
class Tally:
    """What all clients have seen, together."""

    frames: int = 0
    deliveries: int = 0
    refusals: list[bytes] = attrs.field(factory=list)
    lost: int = 0
    latencies_ms: list[float] | None = None
    """Of the deliveries while this is a list, in the order of their coming."""
    when_delivered: Callable[["Client"], None] | None = None
    """Called with the sender when the server says that a message has been delivered."""
    when_received: Callable[["Client"], None] | None = None
    """Called with the recipient when a message has come to it."""


class Client(picows.WSListener):
    """A connection of a user's."""

    def __init__(self, user_id: str, token: str, tally: Tally) -> None:
        loop = asyncio.get_running_loop()
        self.user_id = user_id
        self.ready: asyncio.Future[None] = loop.create_future()
        self._token, self._tally = token, tally
        self._answer: asyncio.Future[None] | None = None
        self._is_closing = False
        self._transport: picows.WSTransport

    def send(self, packet: str) -> None:
        """Send an Engine.IO packet as it stands."""
        self._transport.send(picows.WSMsgType.TEXT, packet.encode())

    def emit(self, event: str, **payload: object) -> None:
        """Send an event."""
        self.send("42" + json.dumps([event, payload]))

    async def ask(self, event: str, **payload: object) -> None:
        """Send an event and wait until it is acknowledged; one at a time."""
        self._answer = asyncio.get_running_loop().create_future()
        self.send("421" + json.dumps([event, payload]))
        await self._answer

    def close(self) -> None:
        """Drop the connection without a word."""
        self._is_closing = True
        self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Keep what to write to."""
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Count it; what comes most is looked for first."""
        packet, tally = frame.get_payload_as_bytes(), self._tally
        tally.frames += 1
        if packet.startswith(RECEIVED):
            tally.deliveries += 1
            if tally.latencies_ms is not None and (mark := packet.find(SENT_AT)) > 0:
                sent = int(packet[mark + len(SENT_AT) :].split(b"#", 1)[0])
                tally.latencies_ms.append((time.perf_counter_ns() - sent) / 1e6)
            if tally.when_received is not None:
                tally.when_received(self)
        elif packet.startswith(DELIVERED):
            if tally.when_delivered is not None:
                tally.when_delivered(self)
        elif packet == b"2":
            transport.send(picows.WSMsgType.TEXT, b"3")
        elif packet.startswith(REFUSED):
            tally.refusals.append(packet)
        else:
            self._on_other(packet)

    def _on_other(self, packet: bytes) -> None:
        if packet.startswith(b"0{"):
            self.send("40" + json.dumps({"token": self._token}))
        elif packet.startswith(b"40"):
            self.ready.set_result(None)
        elif packet.startswith(b"431") and self._answer is not None:
            self._answer.set_result(None)
        elif packet.startswith(b"44"):
            self._fail(RefusedError(packet.decode()))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Count it, and let nobody wait for what will not come."""
        if self._is_closing:
            return
        self._tally.lost += 1
        self._fail(RefusedError("the server closed the connection"))

    def _fail(self, error: RefusedError) -> None:
        for future in (self.ready, self._answer):
            if future is not None and not future.done():
                future.set_exception(error)
