"""WebSockets for sessions: the only transport, or an upgrade from polling."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from socketio_app.adapters.engineio.context import SessionContext
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

UPGRADE_SECONDS = 10.0
"""Time-out of an upgrade. Meanwhile the client gets nothing over the old transport."""

MAX_PROBES = 5
"""Maximum number of upgrades that one session may begin; official clients begin one.

Each costs an HTTP upgrade, and only new sessions are limited by address.
"""

UPGRADE_REFUSED: Final = {
    "status": "400 BAD REQUEST",
    "headers": [("Content-Type", "text/plain")],
    "response": b'"An upgrade is under way, or too many failed"',
}
"""The response to an upgrade while another is under way, or after `MAX_PROBES` of them."""

MAX_IGNORED = 100
"""Maximum number of control frames during an upgrade."""


async def open_websocket(session: "EngineSession", environ: dict[str, Any]) -> None:
    """Accept a WebSocket: the session's transport, or one to upgrade to."""
    send, receive = environ["asgi.send"], environ["asgi.receive"]
    is_upgrade = session.connected
    await send({"type": "websocket.accept"})
    max_bytes = session.context.max_message_bytes
    offered: TakeoverWebSocket | None = (environ["asgi.scope"].get("extensions") or {}).get(
        EXTENSION
    )
    if offered is not None and offered.take_over(max_bytes):
        _begin(session, offered, is_upgrade=is_upgrade)
    else:
        _log_plain(session.context)
        websocket = AsgiWebSocket(receive, send, max_bytes)
        _begin(session, websocket, is_upgrade=is_upgrade)
        await websocket.serve()


def _begin(session: "EngineSession", websocket: WebSocket, *, is_upgrade: bool) -> None:
    if is_upgrade:
        websocket.hand_to(Probe(websocket, session))
    elif session.is_ending:  # it ended while the accept waited
        session.end_on(websocket)
    else:
        session.use_websocket(websocket)


def _log_plain(context: SessionContext) -> None:
    if context.has_logged_plain:
        return
    context.has_logged_plain = True
    log.info(
        "WebSockets are handled by the ASGI server, which is several times slower than uvicorn "
        "with TakeoverProtocol (docs/running.md)"
    )


class Probe:
    """An upgrade from polling (Engine.IO protocol 4, "Upgrade").

    The client tests the new WebSocket with `2probe`, gets `3probe`, and changes to it with `5`.
    """

    def __init__(self, websocket: WebSocket, session: "EngineSession") -> None:
        self._websocket = websocket
        self._session = session
        self._was_tested = self._is_over = False
        self._ignored = 0
        self._deadline = Deadline(UPGRADE_SECONDS, self._fail)

    def receive(self, messages: Sequence[Message]) -> None:
        """Take the next steps."""
        if self._is_over:
            return
        for number, message in enumerate(messages):
            if message == (frames.TEXT, b"2probe") and not self._was_tested:
                self._was_tested = True
                self._websocket.write(frames.frame(frames.TEXT, b"3probe"))
                self._session.begin_upgrade()
            elif message == (frames.TEXT, b"5") and self._was_tested:
                self._upgrade(messages[number + 1 :])
                return
            else:
                self._fail()
                return

    def _upgrade(self, messages: Sequence[Message]) -> None:
        if self._session.may_upgrade:
            self._deadline.cancel()
            self._session.use_websocket(self._websocket).receive(messages)
        else:  # the session has ended
            self._end()
            self._session.end_on(self._websocket)

    def ignored(self, count: int) -> None:
        """Count control frames. No client needs more than a few during an upgrade."""
        self._ignored += count
        if self._ignored > MAX_IGNORED:
            self._fail()

    ponged = ignored

    def pause_writing(self) -> None:
        """Go on: only a few bytes are written during an upgrade."""

    def resume_writing(self) -> None:
        """Likewise."""

    def flush(self) -> None:
        """Do nothing: nothing is queued here."""

    def lost(self) -> None:
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
