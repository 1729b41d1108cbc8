"""An Engine.IO client (protocol 4) that records every frame and packet unchanged.

It reads only when a test asks it to; until then its data is unread, as with a slow network.
"""

import asyncio
import json
import socket
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Literal, Self

import aiohttp
import attrs
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from tests.e2e import open_clients

Transport = Literal["polling", "websocket"]
Packet = str | bytes
"""An Engine.IO packet: text, or the bytes of an attachment."""

Moment = Literal["before the probe", "after the probe"]

END = "<end>"
"""Marks where in its received packets a client ended its connection."""

PATIENCE_SECONDS = 60
MAX_REQUEST_BYTES = 20_000
"""Maximum size of a polling request that the server accepts."""

SMALL_BUFFER = 8192
"""Buffer size that soon makes the server wait for a client that does not read."""


class FrameSocket:
    """A WebSocket over a TCP connection, frame by frame."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: ClientProtocol
    ) -> None:
        self._reader, self._writer, self._protocol = reader, writer, protocol
        self._early: list[Frame] = []
        self.is_at_end = False
        open_clients.track(self)

    @classmethod
    async def open(cls, url: str, has_small_buffer: bool) -> Self:
        uri = parse_uri(url.replace("http", "ws", 1))
        tcp = socket.socket(proto=socket.IPPROTO_TCP)
        if has_small_buffer:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        tcp.setblocking(False)
        await asyncio.get_running_loop().sock_connect(tcp, (uri.host, uri.port))
        reader, writer = await asyncio.open_connection(sock=tcp)
        protocol = ClientProtocol(uri, max_size=None)
        protocol.send_request(protocol.connect())
        opened = cls(reader, writer, protocol)
        opened._flush()
        while protocol.state is not OPEN:
            opened._early = await opened._read()
            assert not opened.is_at_end, protocol.handshake_exc
        return opened

    def send(self, packets: Iterable[Packet], pieces: int = 1) -> None:
        """Send messages in one write, each in `pieces` frames."""
        for packet in packets:
            data = packet.encode("utf-8", "surrogateescape") if isinstance(packet, str) else packet
            size = -(-len(data) // pieces) or 1
            first, *rest = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
            begin = self._protocol.send_text if isinstance(packet, str) else self._send_binary
            begin(first, fin=not rest)
            for number, piece in enumerate(rest, 1):
                self._protocol.send_continuation(piece, fin=number == len(rest))
        self._flush()

    def ping(self) -> None:
        self._protocol.send_ping(b"test")
        self._flush()

    def close(self) -> None:
        """Send a Close frame, as a browser does."""
        self._protocol.send_close(1000)
        self._flush()

    def fileno(self) -> int:
        """Return the file descriptor of the socket."""
        return int(self._writer.get_extra_info("socket").fileno())

    def abort(self) -> None:
        """Abort the connection."""
        self._writer.transport.abort()
        self.is_at_end = True
        open_clients.untrack(self)

    async def release(self) -> None:
        self.abort()

    async def read(self) -> list[Frame]:
        """Return the next frames; at the end of the connection, the rest."""
        early, self._early = self._early, []
        return early or await self._read()

    async def _read(self) -> list[Frame]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            data = await self._reader.read(65536)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
            self.is_at_end = True
            self._writer.close()
            open_clients.untrack(self)
        if not self.is_at_end:
            self._flush()
        return [event for event in self._protocol.events_received() if isinstance(event, Frame)]

    def _send_binary(self, data: bytes, fin: bool) -> None:
        self._protocol.send_binary(data, fin)

    def _flush(self) -> None:
        self._writer.write(b"".join(self._protocol.data_to_send()))


@attrs.define(eq=False)
class FrameClient:
    """One Engine.IO connection."""

    http: aiohttp.ClientSession
    """A session of its own, so that clients share no TCP connections."""
    url: str
    """Where to poll."""
    sid: str
    received: list[str]
    """Everything, in order. A frame that is not a whole text message is in angle brackets. Pings
    and NOOPs are omitted, because they depend on timing."""
    has_small_buffer: bool
    """Whether the server soon has to wait if this client does not read."""
    websocket: FrameSocket | None = None
    is_at_end: bool = False
    _acks: int = 0

    def __attrs_post_init__(self) -> None:
        open_clients.track(self)

    @classmethod
    async def open(
        cls, base_url: str, transport: Transport, has_small_buffer: bool = False
    ) -> Self:
        http = aiohttp.ClientSession()
        url = f"{base_url}/socket.io/?EIO=4&transport={transport}"
        if transport == "websocket":
            websocket = await FrameSocket.open(url, has_small_buffer)
            client = cls(http, url, "", [], has_small_buffer, websocket)
            while not client.received:
                await client._read()
        else:
            client = cls(http, url, "", [], has_small_buffer)
            await client._read()
        client.sid = json.loads(client.received[0].removeprefix("0"))["sid"]
        client.url = f"{url}&sid={client.sid}"
        return client

    def command(self, event: str) -> str:
        """Return the packet of an event with an acknowledgement id."""
        self._acks += 1
        return f"42{self._acks}{event}"

    async def send_and_settle(self, packets: Sequence[Packet], pieces: int = 1) -> None:
        """Send packets that keep the connection open; read everything that results from them.

        The reply to a last command follows all earlier packets.
        """
        settling = self.command('["settle",{}]')
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send([*packets, settling], pieces))
            tasks.create_task(self._read_until(f"43{self._acks}["))
        assert not self.is_at_end, self.received[-1]

    async def send_until(self, packets: Sequence[Packet], beginning: str) -> None:
        """Send packets, and read until a packet has the beginning."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send(packets))
            tasks.create_task(self._read_until(beginning))

    async def send_last(self, packets: Sequence[Packet]) -> None:
        """Send packets that end the connection, and read a WebSocket to the end.

        A polling client stops reading: the rest may or may not still be available.
        """
        self.received.append(END)
        await self._send(packets)
        await self._end()

    async def close(self) -> None:
        """Close the transport, and read to its end."""
        if self.websocket is None:
            await self.send_last(["1"])
            return
        self.received.append(END)
        self.websocket.close()
        await self._end()

    async def release(self) -> None:
        """Abort the transport; a polling client just stops polling."""
        if self.websocket is not None:
            self.websocket.abort()
        await self._end()

    def ping(self) -> None:
        """Send a WebSocket ping, unless the transport is polling."""
        if self.websocket is not None:
            self.websocket.ping()

    async def upgrade(
        self,
        meanwhile: Callable[[], Awaitable[None]],
        moment: Moment,
        packets: Sequence[Packet],
    ) -> None:
        """Upgrade from polling to a WebSocket, as clients do, and run `meanwhile` at the moment.

        The packets are sent in one write with the last step.
        """
        websocket, polling = await self._probe(meanwhile, moment)
        await polling
        self.websocket = websocket
        websocket.send(["5", *packets])
        await self.send_and_settle([])

    async def fail_to_upgrade(
        self, meanwhile: Callable[[], Awaitable[None]], moment: Moment
    ) -> None:
        """Begin an upgrade to a WebSocket, and close the WebSocket instead."""
        websocket, polling = await self._probe(meanwhile, moment)
        websocket.close()
        while not websocket.is_at_end:
            await websocket.read()
        await polling

    async def _probe(
        self, meanwhile: Callable[[], Awaitable[None]], moment: Moment
    ) -> tuple[FrameSocket, "asyncio.Task[None]"]:
        polling = asyncio.create_task(self._read())
        url = self.url.replace("transport=polling", "transport=websocket")
        websocket = await FrameSocket.open(url, self.has_small_buffer)
        if moment == "before the probe":
            await meanwhile()
        websocket.send(["2probe"])
        assert [frame.data for frame in await websocket.read()] == [b"3probe"]
        if moment == "after the probe":
            await meanwhile()
        return websocket, polling

    async def _send(self, packets: Sequence[Packet], pieces: int = 1) -> None:
        if self.websocket is not None:
            self.websocket.send(packets, pieces)
            return
        for body in _requests(packets):
            async with self.http.post(self.url, data=body) as answer:
                await answer.read()
                if answer.status != 200:
                    self.received.append(f"<{answer.status}>")

    async def _read_until(self, beginning: str) -> None:
        while not (self.is_at_end or any(p.startswith(beginning) for p in self.received)):
            await self._read()

    async def _read(self) -> None:
        if self.websocket is not None:
            packets = [_describe(frame) for frame in await self.websocket.read()]
            self.received += [packet for packet in packets if packet not in {"2", "6"}]
            self.is_at_end = self.websocket.is_at_end
            return
        async with self.http.get(self.url) as answer:
            packets = (await answer.text()).split("\x1e") if answer.status == 200 else []
        self.is_at_end = packets in ([], [""])
        self.received += [packet for packet in packets if packet not in {"", "2", "6"}]

    async def _end(self) -> None:
        while self.websocket is not None and not self.websocket.is_at_end:
            await self._read()
        self.is_at_end = True
        await self.http.close()
        open_clients.untrack(self)


def _requests(packets: Sequence[Packet]) -> Iterator[bytes]:
    """Encode packets in as few polling requests as the server accepts."""
    request = b""
    for number, packet in enumerate(packets):
        if isinstance(packet, str):
            encoded = packet.encode("utf-8", "surrogateescape")
        else:
            encoded = b"b" + b64encode(packet)
        if request and len(request) + len(encoded) >= MAX_REQUEST_BYTES:
            yield request
            request = encoded
        else:
            request = request + b"\x1e" + encoded if number else encoded
    yield request


def _describe(frame: Frame) -> str:
    is_text = frame.opcode is Opcode.TEXT and frame.fin
    if is_text and not (frame.rsv1 or frame.rsv2 or frame.rsv3):
        return bytes(frame.data).decode()
    return f"<{frame.opcode.name} {frame.fin} {bytes(frame.data)!r}>"
