"""uvicorn's HTTP protocol, with limits on how much of the event loop one connection uses.

uvicorn parses everything it has read at once, which may be ten thousand pipelined requests, and
limits neither the size of a request's head nor the time it takes to arrive.
"""

import asyncio
import logging
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from socketio_app.adapters.websocket.shared_turn import shared_turn

log = logging.getLogger("socketio_app.socketio")

MAX_CHUNK_BYTES: Final = 4096
"""Maximum bytes parsed in one turn of the event loop: at most two hundred small requests."""

MAX_HEAD_BYTES: Final = 65_536
"""Maximum size of a request line with its headers; beyond, the connection is closed."""

HEAD_TIMEOUT_SECONDS: Final = 20.0
"""Time-out for receiving a request's head; after it, the connection is closed."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Parses input in small pieces, and not while a response is in progress.

    The first requests of all connections share the turns of the event loop (`SharedTurn`).
    """

    _unparsed = b""
    _has_requested = False
    _is_in_head = True
    _head_bytes = 0
    _is_feeding_soon = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the time-out for the first request."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Discard unparsed input."""
        self._unparsed = b""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the input now if it is small, or piece by piece."""
        is_small = not self._unparsed and len(data) <= MAX_CHUNK_BYTES and not self._is_answering
        if is_small and (self._has_requested or shared_turn(self.loop).take()):
            self._feed(data)
            return
        self._unparsed += data
        self.flow.pause_reading()
        self._feed_soon()

    def on_message_begin(self) -> None:
        """Start the limits for a request's head."""
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        """End the limits for a request's head, and start the response."""
        self._has_requested = True
        self._end_head()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Parse the next request."""
        super().on_response_complete()
        if self._unparsed:
            self.flow.pause_reading()
            self._feed_soon()

    @property
    def _is_answering(self) -> bool:
        """Whether a complete request was received and its response is not complete."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not (cycle.response_complete or cycle.more_body)

    def _feed_soon(self) -> None:
        if not self._is_feeding_soon:
            self._is_feeding_soon = True
            if self._has_requested:
                self.loop.call_soon(self._feed_next)
            else:
                shared_turn(self.loop).wait(self._feed_next)

    def _feed_next(self) -> None:
        self._is_feeding_soon = False
        if self.transport.is_closing():
            self._unparsed = b""
        protocol = self.transport.get_protocol()
        if protocol is not self:
            self._pass_to(protocol)
        elif self._unparsed and not self._is_answering:
            piece = self._unparsed[:MAX_CHUNK_BYTES]
            self._unparsed = self._unparsed[MAX_CHUNK_BYTES:]
            self._feed(piece)
            if self._unparsed:
                self._feed_soon()
            elif not self.transport.is_closing():
                self.flow.resume_reading()

    def _pass_to(self, protocol: Any) -> None:
        """Pass the input that followed an upgrade request to the WebSocket protocol."""
        unparsed, self._unparsed = self._unparsed, b""
        if unparsed and not self.transport.is_closing():
            self.flow.resume_reading()
            protocol.data_received(unparsed)

    def _feed(self, piece: bytes) -> None:
        if not (self._has_requested or self._head_bytes) and self._opens_websocket(piece):
            return
        if self._is_in_head:
            self._head_bytes += len(piece)
            if self._head_bytes > MAX_HEAD_BYTES:
                log.info("connection closed: request head too large")
                self.send_400_response("Request head too large.")
                return
        super().data_received(piece)

    def _opens_websocket(self, request: bytes) -> bool:
        """Pass the connection on, before parsing, if its first request is the usual WebSocket's."""
        take_from = getattr(self.ws_protocol_class, "take_from", None)
        if take_from is None or not take_from(self, request):
            return False
        self._has_requested = True
        self._end_head()
        del self.parser  # it refers back to this object, which is no longer needed
        return True

    def _begin_head(self) -> None:
        self._is_in_head = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self._close_slow_head)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_slow_head(self) -> None:
        log.info("connection closed: request timed out")
        self.transport.close()
