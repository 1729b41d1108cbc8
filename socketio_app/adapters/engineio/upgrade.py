"""WebSockets of sessions: either the initial transport or an upgrade from polling."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from engineio.packet import Packet as EnginePacket

from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.responses import rejection
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.asgi_websocket import AsgiWebSocket
from socketio_app.adapters.websocket.deadlines import Deadline
from socketio_app.adapters.websocket.interface import (
    EXTENSION,
    Message,
    TakeoverWebSocket,
    WebSocket,
)

if TYPE_CHECKING:
    from socketio_app.adapters.engineio.session import EngineSession

log = logging.getLogger("socketio_app.socketio")

UPGRADE_TIMEOUT_SECONDS = 10.0
"""Time-out of an upgrade, during which the client receives nothing over polling."""

MAX_PROBES = 5
"""Maximum number of upgrades that a session may attempt; official clients attempt one.

Each attempt costs an HTTP upgrade, and rate limits per address apply only to new sessions.
"""

UPGRADE_REJECTED: Final = rejection(
    HTTPStatus.BAD_REQUEST, '"An upgrade is in progress, or too many failed"'
)
"""Response to an upgrade while another is in progress, or after `MAX_PROBES` attempts."""

MAX_IGNORED = 100
"""Maximum number of control frames during an upgrade."""


async def open_websocket(
    session: "EngineSession", environ: dict[str, Any], opening: EnginePacket | None
) -> None:
    """Accept a WebSocket as the session's transport, or as the target of an upgrade.

    Args:
        session: the session.
        environ: the request.
        opening: the session's OPEN packet; `None` for an upgrade.
    """
    send, receive = environ["asgi.send"], environ["asgi.receive"]
    await send({"type": "websocket.accept"})
    max_bytes = session.context.max_message_bytes
    takeover: TakeoverWebSocket | None = (environ["asgi.scope"].get("extensions") or {}).get(
        EXTENSION
    )
    if takeover is not None and takeover.take_over(max_bytes):
        _begin(session, takeover, opening)
    else:
        _log_plain(session.context)
        websocket = AsgiWebSocket(receive, send, max_bytes)
        _begin(session, websocket, opening)
        await websocket.serve()


def _begin(session: "EngineSession", websocket: WebSocket, opening: EnginePacket | None) -> None:
    if opening is None:
        websocket.set_handler(Probe(websocket, session))
    elif session.is_closing:  # it closed while the accept waited
        session.close_late_websocket(websocket, opening)
    else:
        session.use_websocket(websocket, opening)


def _log_plain(context: SessionContext) -> None:
    if context.has_logged_fallback:
        return
    context.has_logged_fallback = True
    log.info(
        "WebSockets are handled by the ASGI server, which is several times slower than uvicorn "
        "with TakeoverProtocol (docs/running.md)"
    )


class Probe:
    """An upgrade from polling (Engine.IO protocol 4, "Upgrade").

    The client tests the new WebSocket with `2probe`, receives `3probe`, and switches with `5`.
    """

    def __init__(self, websocket: WebSocket, session: "EngineSession") -> None:
        self._websocket = websocket
        self._session = session
        self._was_tested = self._is_over = False
        self._ignored = 0
        self._deadline = Deadline(UPGRADE_TIMEOUT_SECONDS, self._fail)

    def receive(self, messages: Sequence[Message]) -> None:
        """Handle the next steps of the upgrade."""
        if self._is_over:
            return
        for index, message in enumerate(messages):
            if message == (frames.TEXT, b"2probe") and not self._was_tested:
                self._was_tested = True
                self._websocket.write(frames.frame(frames.TEXT, b"3probe"))
                self._session.begin_upgrade()
            elif message == (frames.TEXT, b"5") and self._was_tested:
                self._upgrade(messages[index + 1 :])
                return
            else:
                self._fail()
                return

    def _upgrade(self, messages: Sequence[Message]) -> None:
        if self._session.may_upgrade:
            self._deadline.cancel()
            self._session.use_websocket(self._websocket).receive(messages)
        else:  # the session is closed
            self._end()
            self._session.close_late_websocket(self._websocket, None)

    def pings_received(self, count: int) -> None:
        """Count control frames, and fail if there are too many: an upgrade needs only a few."""
        self._ignored += count
        if self._ignored > MAX_IGNORED:
            self._fail()

    pongs_received = pings_received

    def pause_writing(self) -> None:
        """Do nothing: only a few bytes are written during an upgrade."""

    def resume_writing(self) -> None:
        """Do nothing, as in `pause_writing`."""

    def flush(self) -> None:
        """Do nothing: nothing is buffered during an upgrade."""

    def connection_lost(self) -> None:
        """Cancel the upgrade: the WebSocket was closed."""
        self._end()

    def _fail(self) -> None:
        self._end()
        self._websocket.close(frames.NORMAL_CLOSURE)

    def _end(self) -> None:
        self._deadline.cancel()
        if not self._is_over:
            self._is_over = True
            self._session.cancel_upgrade()
