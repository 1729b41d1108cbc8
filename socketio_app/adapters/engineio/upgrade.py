"""The upgrade from polling to a WebSocket (Engine.IO protocol 4, "Upgrade")."""

from collections.abc import Sequence
from typing import Protocol

from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.connection import WebSocketConnection
from socketio_app.adapters.websocket.deadlines import Deadline
from socketio_app.adapters.websocket.interface import Message, WebSocket

UPGRADE_SECONDS = 10.0
"""How long a client may take for the upgrade; meanwhile it gets nothing over the old transport."""

MAX_IGNORED = 100
"""Control frames during an upgrade; more of them end it."""


class Upgrading(Protocol):
    """An Engine.IO connection that polls, and is about to change to a WebSocket."""

    def end_poll(self) -> None:
        """Answer the poll that is open, so that the client begins no other."""
        ...

    def may_upgrade(self) -> bool:
        """Whether it polls still."""
        ...

    def upgraded_to(self, websocket: WebSocket) -> WebSocketConnection:
        """Use the WebSocket from now on, and for what waits."""
        ...

    def not_upgraded(self) -> None:
        """Go on polling."""
        ...

    def end_on(self, websocket: WebSocket) -> None:
        """Close a WebSocket that can no longer be used, after what the client has not fetched."""
        ...


class Probe:
    """Goes through the upgrade from polling (Engine.IO protocol 4, "Upgrade").

    The client asks over the new WebSocket whether it works, `2probe`; it does, `3probe`; and the
    client changes to it, `5`.
    """

    def __init__(self, websocket: WebSocket, connection: Upgrading) -> None:
        self._websocket = websocket
        self._connection = connection
        self._was_asked = self._is_over = False
        self._ignored = 0
        self._deadline = Deadline(UPGRADE_SECONDS, self._fail)

    def receive(self, messages: Sequence[Message]) -> None:
        """Take the next steps."""
        if self._is_over:
            return
        for number, message in enumerate(messages):
            if message == (frames.TEXT, b"2probe") and not self._was_asked:
                self._was_asked = True
                self._websocket.write(frames.frame(frames.TEXT, b"3probe"))
                self._connection.end_poll()
            elif message == (frames.TEXT, b"5") and self._was_asked:
                self._upgrade(messages[number + 1 :])
                return
            else:
                self._fail()
                return

    def _upgrade(self, messages: Sequence[Message]) -> None:
        if self._connection.may_upgrade():
            self._deadline.cancel()
            self._connection.upgraded_to(self._websocket).receive(messages)
        else:  # another WebSocket was faster, or the session has ended
            self._end()
            self._connection.end_on(self._websocket)

    def ignored(self, count: int) -> None:
        """Count them; no client needs more than a few during an upgrade."""
        self._ignored += count
        if self._ignored > MAX_IGNORED:
            self._fail()

    def pause_writing(self) -> None:
        """So little is written here that it does not matter."""

    def resume_writing(self) -> None:
        """Likewise."""

    def flush(self) -> None:
        """Nothing is kept here."""

    def lost(self) -> None:
        """The client has thought better of it."""
        self._end()

    def _fail(self) -> None:
        self._end()
        self._websocket.close(frames.NORMAL_CLOSURE)

    def _end(self) -> None:
        self._deadline.cancel()
        if not self._is_over:
            self._is_over = True
            self._connection.not_upgraded()
