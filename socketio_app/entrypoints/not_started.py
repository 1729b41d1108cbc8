"""Responses of a chat whose lifespan has not run, for example because of Starlette's `Mount`."""

import logging
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from socketio_app.application.home_loop import NOT_STARTED

log = logging.getLogger("socketio_app")

IN_FRONT: Final = (
    "enter `chat_app.router.lifespan_context(chat_app)` in the lifespan of the application that "
    "mounts it; in tests, use a client that runs the lifespan"
)
"""How to start a chat that `create_socketio_app` has created."""

ADDED: Final = (
    "call add_chat before the application starts, and not in its lifespan; if another application "
    "mounts it, enter `api.router.lifespan_context(api)` in the lifespan of that application; in "
    "tests, use a client that runs the lifespan"
)
"""How to start a chat that `add_chat` has added to an application."""

_INTERNAL_ERROR = 1011
"""RFC 6455, section 7.4.1."""


class NotStarted:
    """Rejects every request, and logs once how to start the chat."""

    def __init__(self, how_to_start: str) -> None:
        self._how_to_start = how_to_start
        self._is_logged = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request or a WebSocket handshake."""
        if not self._is_logged:
            self._is_logged = True
            log.error("%s: %s", NOT_STARTED, self._how_to_start)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": NOT_STARTED})
        else:
            await PlainTextResponse(f"{NOT_STARTED}.", status_code=500)(scope, receive, send)
