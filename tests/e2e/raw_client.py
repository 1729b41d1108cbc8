"""Low-level Engine.IO and Socket.IO clients, for traffic that no well-behaved client sends."""

import json
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import attrs
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket

from tests.tokens import token

PATIENCE_SECONDS = 60


@attrs.define
class RawWebSocket:
    """A connected user, frame by frame. Its methods block, for synchronous tests."""

    socket: ClientConnection
    next_ack: int = 0
    _read: queue.Queue[str | bytes | ConnectionClosed] | None = attrs.field(
        default=None, init=False
    )
    """The frames read by a separate thread, if there is one."""

    def send(self, frame: str | bytes) -> None:
        self.socket.send(frame)

    def receive(self) -> str | bytes:
        """Return the next frame that is not a ping."""
        if self._read is None:
            return self._receive_now()
        frame = self._read.get(timeout=PATIENCE_SECONDS)
        if isinstance(frame, ConnectionClosed):
            self._read.put(frame)
            raise frame
        return frame

    def _receive_now(self) -> str | bytes:
        while (frame := self.socket.recv(timeout=PATIENCE_SECONDS)) == "2":
            self.socket.send("3")
        return frame

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read and answer pings in a thread while the test runs."""
        read: queue.Queue[str | bytes | ConnectionClosed] = queue.Queue()

        def read_all() -> None:
            while True:
                try:
                    read.put(self._receive_now())
                except TimeoutError:
                    continue
                except ConnectionClosed as error:
                    read.put(error)
                    return

        self._read = read
        thread = threading.Thread(target=read_all)
        thread.start()
        try:
            yield
        finally:
            self.socket.close()
            thread.join()

    def ask(self, event_json: str) -> Any:
        """Send an event with an acknowledgement id; return the acknowledgement's argument."""
        self.next_ack += 1
        self.send(f"42{self.next_ack}{event_json}")
        prefix = f"43{self.next_ack}"
        while True:
            frame = self.receive()
            assert isinstance(frame, str)
            if frame.startswith(prefix):
                (answer,) = json.loads(frame.removeprefix(prefix))
                return answer

    def is_closed_by_server(self) -> bool:
        """Read until the server closes the connection; return whether it did."""
        try:
            while True:
                self.receive()
        except ConnectionClosed:
            return True
        except TimeoutError:
            return False


@contextmanager
def raw_websocket(base_url: str, user_id: str | None) -> Iterator[RawWebSocket]:
    """Open a WebSocket connection and connect a user, unless `user_id` is None."""
    url = base_url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    with connect_websocket(url, ping_interval=None, max_size=None) as socket:
        raw = RawWebSocket(socket)
        opened = raw.receive()
        assert str(opened).startswith("0{")
        if user_id is not None:
            raw.send("40" + json.dumps({"token": token(user_id)}))
            assert str(raw.receive()).startswith("40{")
            assert str(raw.receive()).startswith('42["connected"')
        yield raw


@attrs.define
class RawPolling:
    """A polling session, request by request."""

    http: aiohttp.ClientSession
    url: str

    async def post(self, *packets: str) -> int:
        """Send packets; return the response's status."""
        async with self.http.post(self.url, data="\x1e".join(packets)) as answer:
            await answer.read()
            return answer.status

    async def get(self) -> list[str]:
        """Poll once; return the packets."""
        async with self.http.get(self.url) as answer:
            return (await answer.text()).split("\x1e")


@asynccontextmanager
async def raw_polling(base_url: str) -> AsyncIterator[RawPolling]:
    """Open a polling session without connecting to the namespace."""
    url = base_url + "/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as answer:
            opened = json.loads((await answer.text()).removeprefix("0"))
        yield RawPolling(http, f"{url}&sid={opened['sid']}")
