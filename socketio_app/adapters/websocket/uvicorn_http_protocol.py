"""uvicorn's HTTP protocol, with a bound to what one connection takes of the event loop.

uvicorn parses all that was read at once, which may be ten thousand pipelined requests; and it waits
for the end of a request's head for ever, whatever its size.
"""

import asyncio
import logging
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

log = logging.getLogger("socketio_app.socketio")

MAX_PIECE_BYTES: Final = 4096
"""Bytes that are parsed in one turn of the event loop: two hundred small requests at most."""

MAX_HEAD_BYTES: Final = 65_536
"""Size of a request's line and headers; a connection that sends more is closed."""

HEAD_TIMEOUT_SECONDS: Final = 20.0
"""How long a client may take to send a request's head; then its connection is closed."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Parses a piece at a time, and none while a request is being answered."""

    _unparsed = b""
    _is_in_head = True
    _head_bytes = 0
    _is_feeding_soon = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, for a while."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what has not been parsed."""
        self._unparsed = b""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, or the first piece of it."""
        if not self._unparsed and len(data) <= MAX_PIECE_BYTES and not self._is_answering:
            self._feed(data)
            return
        self._unparsed += data
        self.flow.pause_reading()
        self._feed_soon()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        """Begin to answer it."""
        self._end_head()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        if self._unparsed:
            self.flow.pause_reading()
            self._feed_soon()

    @property
    def _is_answering(self) -> bool:
        """Whether a request has come, all of it, and has not been answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not (cycle.response_complete or cycle.more_body)

    def _feed_soon(self) -> None:
        if not self._is_feeding_soon:
            self._is_feeding_soon = True
            self.loop.call_soon(self._feed_next)

    def _feed_next(self) -> None:
        self._is_feeding_soon = False
        if self.transport.is_closing():
            self._unparsed = b""
        protocol = self.transport.get_protocol()
        if protocol is not self:
            self._hand_to(protocol)
        elif self._unparsed and not self._is_answering:
            piece = self._unparsed[:MAX_PIECE_BYTES]
            self._unparsed = self._unparsed[MAX_PIECE_BYTES:]
            self._feed(piece)
            if self._unparsed:
                self._feed_soon()
            elif not self.transport.is_closing():
                self.flow.resume_reading()

    def _hand_to(self, protocol: Any) -> None:
        """Give what came behind an upgrade to the WebSocket."""
        unparsed, self._unparsed = self._unparsed, b""
        if unparsed and not self.transport.is_closing():
            self.flow.resume_reading()
            protocol.data_received(unparsed)

    def _feed(self, piece: bytes) -> None:
        if self._is_in_head:
            self._head_bytes += len(piece)
            if self._head_bytes > MAX_HEAD_BYTES:
                log.info("connection closed: request head too large")
                self.send_400_response("Request head too large.")
                return
        super().data_received(piece)

    def _begin_head(self) -> None:
        self._is_in_head = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self._end_slow_head)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_slow_head(self) -> None:
        log.info("connection closed: request timed out")
        self.transport.close()
