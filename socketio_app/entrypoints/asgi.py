"""The chat as an ASGI application, standalone or wrapped around a host application."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from socketio_app.adapters.custom_verifier import VerifyToken
from socketio_app.adapters.engineio.session_server import SessionServer
from socketio_app.adapters.http import HEALTH_ROUTE, create_ready_route
from socketio_app.application.chat import Chat
from socketio_app.application.ports import Store
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.mounted_app import HostRoute, host_lifespan
from socketio_app.entrypoints.not_started import NotStarted
from socketio_app.entrypoints.settings import Settings, mounted_names


def create_socketio_app(
    app: ASGIApp | None = None,
    *,
    settings: object | None = None,
    verify_token: VerifyToken | None = None,
    store: Store | None = None,
    websocket_path: str | None = None,
) -> Starlette:
    """Create an ASGI application that serves the chat in front of another application.

    Serve the returned application instead of the original one: requests to `/socket.io/` go to the
    chat, all others to the original application, including its WebSockets, lifespan and errors.
    The `Chat` is available as `state.chat`.

    Args:
        app: a FastAPI, Starlette or other ASGI application. Without one, the chat is served
            together with `/healthz` and `/readyz`.
        settings: an object with settings as attributes (docs/configuration.md), as is common in
            FastAPI projects; missing attributes take their defaults. If `None`, settings are read
            from the environment and `.env`.
        verify_token: a sync or async function that verifies a token instead of the configured
            keys. It returns the user's id or claims with a `sub`; to reject the token, it returns
            `None` or raises. If it takes a second argument, that is the request that opens the
            connection, with its headers and cookies; the token is then `None` if there is none.
        store: the store to use instead of the one that `DATABASE_URL` names.
        websocket_path: the path of the chat over plain WebSockets, such as `/ws`; by default, the
            setting `WEBSOCKET_PATH`.

    Raises:
        SettingsError: a setting is invalid; the message is one line that names it.
    """
    if settings is None:
        loaded = Settings.from_environment(os.environ, only=mounted_names())
    elif isinstance(settings, Settings):
        loaded = settings
    else:
        loaded = Settings.from_object(settings, only=mounted_names())
    if websocket_path is not None:
        loaded = loaded.replace(websocket_path=websocket_path)
    return application(compose(loaded, verify_token=verify_token, store=store), app)


def application(
    composition: Composition, host: ASGIApp | None = None, more: Sequence[BaseRoute] = ()
) -> Starlette:
    """Create the Starlette application for a composed chat.

    Args:
        composition: the chat.
        host: the host application, if any.
        more: additional routes; only used without a host application.
    """
    not_started = NotStarted()

    def started(server: SessionServer) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if composition.chat.was_started:
                await server.handle_request(scope, receive, send)
            else:
                await not_started(scope, receive, send)

        return serve

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            state = await stack.enter_async_context(host_lifespan(host)) if host else None
            await composition.start()
            stack.push_async_callback(composition.close)
            stack.push_async_callback(composition.stop)
            # None means no state; some servers cannot handle an empty one.
            yield cast("dict[str, Any]", state or None)

    own = [HEALTH_ROUTE, create_ready_route(composition.chat.readiness), *more]
    beside: Sequence[BaseRoute] = [HostRoute(host)] if host else own
    routes = [
        *_socketio_routes(started(composition.server)),
        *(
            WebSocketRoute(path, _AsgiEndpoint(started(server)))
            for path, server in composition.websockets.items()
        ),
        *composition.routes,
        *beside,
    ]
    starlette = Starlette(routes=routes, lifespan=lifespan)
    starlette.state.chat = composition.chat
    state = getattr(host, "state", None)
    if isinstance(state, State):  # a FastAPI or Starlette application
        state.chat = composition.chat
    return starlette


def get_chat(connection: HTTPConnection) -> Chat:
    """Return the chat of the application that serves a request or a WebSocket.

    A dependency for FastAPI: `chat: Annotated[Chat, Depends(get_chat)]`.

    Raises:
        LookupError: the application has no chat: it was not passed to `create_socketio_app`.
    """
    return chat_of(connection.app)


def chat_of(app: Starlette) -> Chat:
    """Return the chat of an application: what `create_socketio_app` returned, or took.

    Raises:
        LookupError: it has none.
    """
    chat = getattr(app.state, "chat", None)
    if not isinstance(chat, Chat):
        raise LookupError("this application has no chat: pass it to create_socketio_app")
    return chat


PATH = "/socket.io"


def _socketio_routes(serve: ASGIApp) -> Sequence[BaseRoute]:
    """Return the chat's routes, with and without a trailing slash (clients' `addTrailingSlash`)."""
    endpoint = _AsgiEndpoint(serve)
    return [Route(PATH, endpoint), WebSocketRoute(PATH, endpoint), Mount(PATH, serve)]


class _AsgiEndpoint:
    """Wraps an ASGI function in a class: Starlette treats functions as request handlers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
