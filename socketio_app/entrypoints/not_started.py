"""Responses of a chat whose lifespan has not run, for example because of Starlette's `Mount`."""

import logging

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from socketio_app.application.home_loop import NOT_STARTED

log = logging.getLogger("socketio_app")

HOW_TO_START = (
    "enter `chat_app.router.lifespan_context(chat_app)` in the lifespan of the application that "
    "mounts it; in tests, use a client that runs the lifespan"
)

_INTERNAL_ERROR = 1011
"""RFC 6455, section 7.4.1."""


class NotStarted:
    """Rejects every request, and logs once how to start the chat."""

    def __init__(self) -> None:
        self._is_logged = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request or a WebSocket handshake."""
        if not self._is_logged:
            self._is_logged = True
            log.error("%s: %s", NOT_STARTED, HOW_TO_START)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": NOT_STARTED})
        else:
            await PlainTextResponse(f"{NOT_STARTED}.", status_code=500)(scope, receive, send)
