"""uvicorn's WebSocket protocol, with connections that an application can take over.

For other ASGI applications, it behaves like uvicorn's own. An application that finds `EXTENSION` in
the scope can take the connection over: from then on, messages are delivered directly to its
handler, and it writes frames directly to the transport, without a task, queue or timer in between.
The application's ASGI call may return.
"""

import asyncio
import logging
from typing import Any
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.http11 import Response

from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.frames import FrameReader
from socketio_app.adapters.websocket.handshake import Handshake, usual_handshake
from socketio_app.adapters.websocket.interface import EXTENSION, FrameHandler
from socketio_app.adapters.websocket.owned_connection import OwnedConnection
from socketio_app.adapters.websocket.uvicorn_versions import (
    answers_handshakes,
    is_takeover_supported,
    loop_batches_writes,
)

_uvicorn_log = logging.getLogger("uvicorn.error")

MAX_EARLY_BYTES = 262_144
"""Maximum bytes received before a takeover; beyond, uvicorn handles the connection."""

_RETAINED = frozenset(
    {
        "_close_deadline",
        "_close_finder",
        "_gathered",
        "_is_behind",
        "_is_closing",
        "_is_writing_paused",
        "_owner",
        "_owner_reads",
        "_pong",
        "_reader",
        "_undecided",
        "connections",
        "disconnected",
        "loop",
        "tasks",
        "transport",
        "write",
    }
)
"""Attributes kept after a takeover; the rest, at least half of uvicorn's state, is freed.

Up to ten of them are set in a connection that waits: an eleventh would double the dictionary.
"""


class TakeoverProtocol(OwnedConnection, WebSocketsSansIOProtocol):
    """A WebSocket connection that an application can take over.

    Pass it to uvicorn as `ws`, without compression (`ws_per_message_deflate=False`).
    """

    _undecided: bytearray | None = None
    """Data received between the offer of a takeover and its decision."""
    _has_connected = False
    _has_request = False
    _handshake: Handshake | None = None
    """The usual handshake, until websockets has to know it."""
    logger = _uvicorn_log
    handshake_initiated = False
    handshake_complete = False
    disconnected = False
    initial_response: Any = None
    close_timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Set what a usual connection needs. `_use_websockets` sets the rest if it is needed."""
        if not config.loaded:
            config.load()
        self.config = config
        self.app = config.loaded_app
        self.loop = _loop or asyncio.get_running_loop()
        self.root_path = config.root_path
        self.asgi_version = config.asgi_version
        self.app_state = app_state
        self._server_state = server_state
        self.connections = server_state.connections
        self.tasks = server_state.tasks
        self.default_headers = server_state.default_headers

    @classmethod
    def take_from(cls, http: HttpToolsProtocol, request: bytes) -> bool:
        """Take a new connection from the HTTP protocol if a WebSocket is opened in the usual way.

        Args:
            http: the connection's protocol, which has parsed nothing.
            request: everything received.

        Returns:
            Whether it was taken. If not, nothing has happened.
        """
        handshake = usual_handshake(request) if answers_handshakes(http.config) else None
        if handshake is None:
            return False
        http.connections.discard(http)
        self = cls(http.config, http.server_state, http.app_state)
        self.transport, self.server, self.client = http.transport, http.server, http.client
        self.scheme = "wss" if http.scheme == "https" else "ws"
        self.connections.add(self)
        self.transport.set_protocol(self)
        self._begin(handshake)
        return True

    # Before a takeover.

    def _receive_as_uvicorn(self, data: bytes) -> None:
        """Handle received data as uvicorn does; the usual requests faster."""
        if not self._has_request:
            handshake = usual_handshake(data) if answers_handshakes(self.config) else None
            if handshake is not None:
                self._begin(handshake)
                return
        self._use_websockets()
        super().data_received(data)

    def _begin(self, handshake: Handshake) -> None:
        """Run the application for a handshake, as uvicorn's `handle_connect` does."""
        self._has_request = True
        self._handshake = handshake
        self.handshake_initiated = True
        raw_path, _, query_string = handshake.path.partition(b"?")
        self.scope = {
            "type": "websocket",
            "asgi": {"version": self.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "root_path": self.root_path,
            "path": self.root_path + unquote(raw_path.decode("ascii")),
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query_string,
            "headers": handshake.headers,
            "subprotocols": [],
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }
        task = self.loop.create_task(self.run_asgi())
        task.add_done_callback(self.on_task_complete)
        self.tasks.add(task)
        self._offer()

    @property
    def _uses_websockets(self) -> bool:
        """Whether the state of uvicorn's class is set."""
        return "conn" in self.__dict__

    def _use_websockets(self) -> None:
        """Set the state of uvicorn's class, which handles the connection from now on."""
        self._has_request = True
        if self._uses_websockets:
            return
        given = self.__dict__.copy()
        super().__init__(self.config, self._server_state, self.app_state, self.loop)
        self.__dict__.update(given)
        if self._is_writing_paused:
            self.writable.clear()
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            if not self._has_connected:
                self.queue.put_nowait({"type": "websocket.connect"})
            self._answer_with_websockets(handshake)

    def _answer_with_websockets(self, handshake: Handshake) -> None:
        """Parse a handshake again; if it is answered, record the answer."""
        self.conn.accept_called = True
        self.conn.receive_data(handshake.request)
        self.conn.events_received()
        # uvicorn removes the date.
        headers = Headers([("Date", ""), *handshake.response_headers])
        self.response = Response(101, "Switching Protocols", headers)
        if self.handshake_complete:
            self.conn.send_response(self.response)
            self.conn.data_to_send()  # it was written by `send`

    async def send(self, message: Any) -> None:
        """See ASGI. The usual accept is written without the state that only websockets needs."""
        is_usual = (
            self._handshake is not None
            and message["type"] == "websocket.accept"
            and not (message.get("headers") or message.get("subprotocol"))
            and not (self.handshake_complete or self.disconnected or self.transport.is_closing())
            and not self._is_writing_paused
            # uvicorn pings over websockets, and both log that the connection is open.
            and not (self.config.ws_ping_interval or self.logger.isEnabledFor(logging.INFO))
        )
        if is_usual and self._handshake is not None:
            self.handshake_complete = True
            self.transport.write(self._handshake.response(self.default_headers))
        else:
            self._use_websockets()
            await super().send(message)

    def handle_connect(self, event: Any) -> None:
        """Offer a takeover of the connection in the scope."""
        super().handle_connect(event)
        self._offer()

    def _offer(self) -> None:
        """Offer a takeover of the connection before anything reads from it.

        Called twice: an eager task has already begun when uvicorn's `handle_connect` returns, and
        any other task begins only after more data may have been received.
        """
        is_rejected = not hasattr(self, "scope")
        if is_rejected or self._has_connected or self._undecided is not None:
            return
        # If compression was negotiated, only uvicorn can handle it.
        is_compressed = self._uses_websockets and self.conn.extensions
        if not is_compressed and is_takeover_supported():
            self._undecided = bytearray()
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    async def receive(self) -> Any:
        """See ASGI. A call after `websocket.connect` was received rules out a takeover."""
        if self._reader is not None:
            return await self._wait_for_disconnect()
        if self._has_connected:
            self._decline()
        self._has_connected = True
        if self._handshake is not None:
            return {"type": "websocket.connect"}
        return await super().receive()

    def _decline(self) -> None:
        """Leave the connection to uvicorn: it is not taken over."""
        self._use_websockets()
        early, self._undecided = self._undecided, None
        if early:
            self._receive_as_uvicorn(bytes(early))

    async def _wait_for_disconnect(self) -> Any:
        """Wait for the disconnect, the only event that middleware can receive after a takeover."""
        if self.disconnected or "scope" not in self.__dict__:  # the application's call has returned
            return _disconnect_event()
        if "queue" not in self.__dict__:
            self.queue = asyncio.Queue()
        return await self.queue.get()

    async def run_asgi(self) -> None:
        """Run the application; a connection that was taken over outlasts it."""
        self._offer()
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            if self._owner is None:
                self._use_websockets()
                self.send_500_response()
        else:
            if self._owner is not None:
                self._free()
                return
            if not self.handshake_complete and self.initial_response is None:
                self.logger.error("ASGI callable returned without completing handshake.")
                self._use_websockets()
                self.send_500_response()
        if self._owner is not None:
            self.close(frames.NORMAL_CLOSURE)
        elif self.close_timer is None:
            self.transport.close()

    def take_over(self, max_bytes: int) -> bool:
        """Stop serving the application, and read and write frames for an owner.

        Call this after accepting the connection, and `set_handler` next.

        Returns:
            False if middleware has read ahead, so that the connection cannot be taken over.
        """
        if self._undecided is None:
            return False
        self._reader = FrameReader(max_bytes)
        self.write = self.transport.write if loop_batches_writes(self.loop) else self._gather_write
        return True

    def set_handler(self, owner: FrameHandler) -> None:
        """Deliver everything received to `owner`, including data that has already arrived."""
        self._owner = owner
        early, self._undecided = self._undecided, None
        if self._is_writing_paused:
            owner.pause_writing()
        if early:
            self.data_received(bytes(early))
        if self.disconnected:
            owner.connection_lost()

    def _report_disconnect(self) -> None:
        """Wake middleware that waits for the disconnect."""
        if "queue" in self.__dict__:
            self.queue.put_nowait(_disconnect_event())

    def _free(self) -> None:
        """Free the state that only the handshake needed."""
        if self._uses_websockets:
            self.stop_keepalive()
        self._report_disconnect()
        self.__dict__ = {
            name: value
            for name, value in self.__dict__.items()
            if name in _RETAINED and value is not None
        }

    # Called by the transport and the server.

    def data_received(self, data: bytes) -> None:
        """Parse received data, or buffer it until a takeover is decided on."""
        if self._is_closing:
            if self._close_finder is not None and self._close_finder.feed(data):
                self.transport.close()
        elif self._reader is not None and self._undecided is None:
            self._parse(data, self._reader)
        elif self._undecided is not None:
            self._undecided += data
            if len(self._undecided) > MAX_EARLY_BYTES:
                self._decline()
        else:
            self._receive_as_uvicorn(data)

    def pause_writing(self) -> None:
        """Ask the owner to pause writing."""
        self._is_writing_paused = True
        if self._owner is not None:
            self._owner.pause_writing()
        elif self._uses_websockets:
            super().pause_writing()

    def resume_writing(self) -> None:
        """Write a delayed pong, and ask the owner to resume writing."""
        self._is_writing_paused = False
        if self._is_closing:
            return
        pong, self._pong = self._pong, None
        if pong is not None:
            self.write(pong)
        if self._owner is not None:
            self._owner.resume_writing()
        elif self._uses_websockets:
            super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the owner of the lost connection."""
        owner = self._owner
        if owner is None:
            self._use_websockets()
            super().connection_lost(exc)
            return
        self.connections.discard(self)
        self.disconnected = True
        if self._close_deadline is not None:
            self._close_deadline.cancel()
        self._report_disconnect()
        owner.connection_lost()

    def shutdown(self) -> None:
        """Close the connection with a code that lets the client reconnect to another server."""
        if self._owner is None:
            self._use_websockets()
            super().shutdown()
        else:
            self._close_for_owner(self._owner, frames.SERVICE_RESTART)


def _disconnect_event() -> Any:
    return {"type": "websocket.disconnect", "code": frames.NORMAL_CLOSURE}
