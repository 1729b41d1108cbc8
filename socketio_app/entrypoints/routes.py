"""The routes of a chat, for any Starlette application, and when they are served."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from socketio_app.adapters.engineio.session_server import SessionServer
from socketio_app.entrypoints.composition import Composition
from socketio_app.entrypoints.not_started import NotStarted

SOCKETIO_PATH: Final = "/socket.io"
"""The path that Socket.IO clients use by default."""

_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


class ChatMount(Mount):
    """The mount of a chat over Socket.IO."""


def chat_routes(
    composition: Composition, not_started: NotStarted, socketio_path: str = SOCKETIO_PATH
) -> Sequence[BaseRoute]:
    """Return the routes of a chat, over Socket.IO and plain WebSockets.

    Args:
        composition: the chat.
        not_started: answers requests as long as the chat has not been started.
        socketio_path: the path for Socket.IO clients.
    """

    def started(server: SessionServer) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if composition.chat.was_started:
                await server.handle_request(scope, receive, send)
            else:
                await not_started(scope, receive, send)

        return serve

    return [
        *_socketio_routes(socketio_path, started(composition.server)),
        *(
            WebSocketRoute(path, _AsgiEndpoint(started(server)))
            for path, server in composition.websockets.items()
        ),
        *composition.routes,
    ]


def checked_path(given: str, websocket_path: str) -> str:
    """Check the path for Socket.IO clients.

    Raises:
        ValueError: it is not a path, or the path over plain WebSockets is below it.
    """
    if _PATH.fullmatch(given) is None:
        raise ValueError(
            f"socketio_path must be a path such as {SOCKETIO_PATH}, without a slash at the end"
        )
    if f"{websocket_path}/".startswith(f"{given}/"):
        raise ValueError("WEBSOCKET_PATH must not be below socketio_path")
    return given


@asynccontextmanager
async def running(composition: Composition) -> AsyncIterator[None]:
    """Start the chat on entry, and stop it on exit."""
    await composition.start()
    try:
        try:
            yield
        finally:
            await composition.stop()
    finally:
        await composition.close()


def _socketio_routes(path: str, serve: ASGIApp) -> Sequence[BaseRoute]:
    """Return the chat's routes, with and without a trailing slash (clients' `addTrailingSlash`)."""
    endpoint = _AsgiEndpoint(serve)
    return [
        Route(path, endpoint, include_in_schema=False),
        WebSocketRoute(path, endpoint),
        ChatMount(path, serve),
    ]


class _AsgiEndpoint:
    """Wraps an ASGI function in a class: Starlette treats functions as request handlers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
