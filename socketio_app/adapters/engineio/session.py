"""An Engine.IO session, without a task, and on a WebSocket without a queue.

Messages are handled alike on every transport. If a client violates the protocol, its session is
closed; no other session is affected.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from engineio.exceptions import EngineIOError, QueueEmpty, SocketIsClosedError
from engineio.packet import CLOSE, NOOP, PING
from engineio.packet import Packet as EnginePacket
from starlette.types import Receive

from socketio_app.adapters.engineio.client_session import ClientSession
from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.poll_codec import encode_frame
from socketio_app.adapters.engineio.polling import PollingTransport
from socketio_app.adapters.engineio.state import State
from socketio_app.adapters.engineio.upgrade import MAX_PROBES, UPGRADE_REJECTED, open_websocket
from socketio_app.adapters.engineio.websocket_transport import WebSocketTransport
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.close_reasons import (
    CLIENT_DISCONNECT,
    SERVER_DISCONNECT,
    TRANSPORT_ERROR,
)
from socketio_app.adapters.websocket.handling import Work
from socketio_app.adapters.websocket.interface import Message, WebSocket

log = logging.getLogger("socketio_app.socketio")


class Receiver(Protocol):
    """Handler of one session's messages."""

    def receive_text(self, data: bytes) -> Work:
        """Handle a text message, including its leading Engine.IO packet type."""
        ...

    def begin_send(self, data: bytes, on_done: Callable[[], None]) -> bool:
        """Begin to handle a text message if it is one to store with others; see `Inbox`."""
        ...

    def receive_binary(self, data: bytes) -> Work:
        """Handle a binary message."""
        ...

    def ignore(self, count: int) -> None:
        """Count meaningless packets or frames."""
        ...

    def closed(self, reason: str) -> None:
        """Clean up: the session is closed."""
        ...


class EngineSession(ClientSession):
    """An Engine.IO session, with the interface that python-engineio's server expects."""

    __slots__ = ("_is_probed", "_probes", "receiver")

    transport: PollingTransport | WebSocketTransport
    receiver: Receiver
    """Handler of the client's messages; set before the handshake is answered."""

    def __init__(self, context: SessionContext, sid: str, address: str | None = None) -> None:
        super().__init__(context, sid, address)
        self.transport = PollingTransport(self)
        self._is_probed = False
        self._probes = 0

    def receiver_closed(self, reason: str) -> None:
        """See `ClientSession.receiver_closed`."""
        self.receiver.closed(reason)

    def receiver_ignored(self, count: int) -> None:
        """See `ClientSession.receiver_ignored`."""
        self.receiver.ignore(count)

    @property
    def connected(self) -> bool:
        """Whether the handshake was answered."""
        return self.state is not State.OPENING

    @property
    def upgraded(self) -> bool:
        """Whether the transport is a WebSocket."""
        return isinstance(self.transport, WebSocketTransport)

    async def send(self, pkt: EnginePacket) -> None:
        """Send one of python-engineio's packets."""
        if self.closed:
            raise SocketIsClosedError
        self.transport.write_packet(pkt)

    def close_with_packet(self, reason: str) -> None:
        """Send an Engine.IO close packet, and close the session."""
        if not self.closed:
            self.transport.write_packet(EnginePacket(CLOSE))
            self.close_now(reason)

    async def close(self, **_options: object) -> None:
        """Close the session. Called by python-engineio."""
        self.close_with_packet(SERVER_DISCONNECT)

    def note_poll(self, taken_packets: int) -> None:
        """Report the receipts that a poll confirms: those of all earlier responses."""
        if self._unconfirmed is not None:
            self._report(self._unconfirmed.note_poll(taken_packets))

    # The transport.

    async def handle_get_request(self, environ: dict[str, Any]) -> Any:
        """Answer a poll, or open a WebSocket."""
        if environ["asgi.scope"]["type"] == "websocket":
            return await self._upgrade(environ)
        transport = self.transport
        if self.state is State.UPGRADING or not isinstance(transport, PollingTransport):
            return [EnginePacket(NOOP)]
        return await transport.poll(environ["asgi.receive"])

    async def fetch(self, receive: Receive) -> Sequence[EnginePacket]:
        """Wait for the packets of the handshake's response (`PollingTransport.fetch`)."""
        if not isinstance(self.transport, PollingTransport):
            raise QueueEmpty
        return await self.transport.fetch(receive)

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Handle the packets of a POST request (`PollingTransport.post`)."""
        if not isinstance(self.transport, PollingTransport):
            raise EngineIOError
        await self.transport.post(environ)

    async def open_over_websocket(self, environ: dict[str, Any], opening: EnginePacket) -> str:
        """Open the session over a WebSocket, and send its OPEN packet first."""
        await open_websocket(self, environ, opening)
        return ""

    async def _upgrade(self, environ: dict[str, Any]) -> Any:
        """Open a WebSocket to upgrade to, or return a response that rejects the upgrade."""
        if self._is_probed or self._probes >= MAX_PROBES:
            return UPGRADE_REJECTED
        self._is_probed = True
        self._probes += 1
        try:
            await open_websocket(self, environ, None)
        except BaseException:
            self._is_probed = False
            raise
        return ""

    def begin_polling(self) -> None:
        """Use polling: the handshake was a polling request."""
        self._enter(State.POLLING)

    @property
    def may_upgrade(self) -> bool:
        """Whether an upgrade may be completed."""
        return self.state is State.UPGRADING

    def begin_upgrade(self) -> None:
        """Answer an open poll, so that the client stops polling."""
        if self.state is State.POLLING:
            self._enter(State.UPGRADING)
        self.transport.write_packet(EnginePacket(NOOP))

    def cancel_upgrade(self) -> None:
        """Use polling again."""
        self._is_probed = False
        if self.state is State.UPGRADING:
            self._enter(State.POLLING)

    def close_late_websocket(self, websocket: WebSocket, opening: EnginePacket | None) -> None:
        """Write the unfetched packets to a WebSocket of a closed session, and close it."""
        if opening is not None:
            websocket.write(encode_frame(opening))
        for packet in self.transport.take_all():
            if packet.packet_type not in (NOOP, PING):
                websocket.write(encode_frame(packet))
        self.context.remaining_packets.drop(self.sid)
        websocket.close(self._close_code)

    def use_websocket(
        self, websocket: WebSocket, opening: EnginePacket | None = None
    ) -> WebSocketTransport:
        """Use a WebSocket from now on, also for the packets queued for polling.

        Args:
            websocket: an accepted WebSocket.
            opening: the packet to send first, if the session opens with the WebSocket.
        """
        self._enter(State.WEBSOCKET)
        polling = self.transport
        transport = self.transport = WebSocketTransport(self, websocket)
        # Before writing: early messages stay in order, and a slow reader is detected.
        websocket.set_handler(transport)
        if opening is not None:
            transport.write_packet(opening)
        for packet in polling.take_all() if polling.is_blocked else ():
            if packet.packet_type != NOOP:
                transport.write_packet(packet)
        self.note_direct_writer(transport.direct_writer)
        if self._unconfirmed is not None:
            self._unconfirmed.note_upgrade()
            self._ping_if_needed()
        return transport

    # From the client.

    def receive(self, message: Message) -> Work | None:
        """See `ClientSession.receive`."""
        opcode, payload = message
        if self.is_closing:
            return None
        if opcode == frames.BINARY:
            return self.receiver.receive_binary(payload)
        if payload.startswith(b"4"):
            return self.receiver.receive_text(payload)
        if payload == b"3":
            self.note_pong()
        elif payload == b"1":
            self.close_now(CLIENT_DISCONNECT)
        else:
            log.info("connection closed: not an Engine.IO packet")
            self.close_now(TRANSPORT_ERROR)
        return None

    def begin_grouped(self, message: Message, on_done: Callable[[], None], /) -> bool:
        """See `ClientSession.begin_grouped`."""
        opcode, payload = message
        if self.is_closing or opcode == frames.BINARY or not payload.startswith(b"4"):
            return False
        return self.receiver.begin_send(payload, on_done)

    def overtakes(self, message: Message, /) -> bool:
        """Handle a pong, which proves that the client is alive while its commands wait."""
        if message != (frames.TEXT, b"3"):
            return False
        self.note_pong()
        return True
