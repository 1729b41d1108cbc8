"""The chat as an ASGI application, standalone or wrapped around a host, or added to a host."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, cast

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from socketio_app.adapters.custom_verifier import VerifyToken
from socketio_app.adapters.http import HEALTH_ROUTE, create_ready_route
from socketio_app.application.chat import Chat
from socketio_app.application.hooks import Hooks
from socketio_app.application.ports import Store
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.mounted_app import HostRoute, WatchedLifespan, host_lifespan
from socketio_app.entrypoints.not_started import ADDED, IN_FRONT, NotStarted
from socketio_app.entrypoints.routes import (
    SOCKETIO_PATH,
    ChatMount,
    chat_routes,
    checked_path,
    running,
)
from socketio_app.entrypoints.settings import Settings, mounted_names


def create_socketio_app(
    app: ASGIApp | None = None,
    *,
    settings: object | None = None,
    verify_token: VerifyToken | None = None,
    store: Store | None = None,
    hooks: Hooks | None = None,
    websocket_path: str | None = None,
    socketio_path: str = SOCKETIO_PATH,
    metrics: bool = False,
) -> Starlette:
    """Create an ASGI application that serves the chat in front of another application.

    Serve the returned application instead of the original one: requests to `/socket.io/` go to the
    chat, all others to the original application, including its WebSockets, lifespan and errors.
    The `Chat` is available as `state.chat`. To keep serving the original application, use
    `add_chat` instead.

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
        hooks: functions to call after something happened in the chat (docs/hooks.md).
        websocket_path: the path of the chat over plain WebSockets, such as `/ws`; by default, the
            setting `WEBSOCKET_PATH`.
        socketio_path: the path of the chat over Socket.IO, which is the clients' option `path`.
        metrics: whether to collect metrics for `operations_app`.

    Raises:
        SettingsError: a setting is invalid; the message is one line that names it.
        ValueError: `socketio_path` is invalid, or the application already has a chat.
    """
    if isinstance(app, Starlette) and _carries_chat(app):
        raise ValueError("this application already serves a chat: serve it as it is")
    loaded = _load(settings, websocket_path)
    path = checked_path(socketio_path, loaded.websocket_path)
    composition = compose(
        loaded, verify_token=verify_token, store=store, hooks=hooks, collects_metrics=metrics
    )
    return application(composition, app, socketio_path=path)


def add_chat(
    app: Starlette,
    *,
    settings: object | None = None,
    verify_token: VerifyToken | None = None,
    store: Store | None = None,
    hooks: Hooks | None = None,
    websocket_path: str | None = None,
    socketio_path: str = SOCKETIO_PATH,
    metrics: bool = False,
) -> Chat:
    """Add the chat to a FastAPI or Starlette application, and return it.

    The application then serves the chat: the routes of the chat precede its own, and the chat
    starts after it and stops before it. Call this where the application is created, before it
    starts. The application's middleware also sees the requests of the chat. The `Chat` is also
    available as `state.chat`, and in FastAPI with `Depends(get_chat)`.

    Args:
        app: the application.
        settings: see `create_socketio_app`, as for all other arguments.
        verify_token: a function that verifies a token instead of the configured keys.
        store: the store to use instead of the one that `DATABASE_URL` names.
        hooks: functions to call after something happened in the chat (docs/hooks.md).
        websocket_path: the path of the chat over plain WebSockets.
        socketio_path: the path of the chat over Socket.IO, which is the clients' option `path`.
        metrics: whether to collect metrics for `operations_app`.

    Raises:
        SettingsError: a setting is invalid; the message is one line that names it.
        TypeError: the application is not a FastAPI or Starlette application.
        ValueError: `socketio_path` is invalid, or the application already has a chat.
    """
    if not isinstance(app, Starlette):
        raise TypeError(
            f"add_chat takes a FastAPI or Starlette application, not {type(app).__name__}: "
            "use create_socketio_app"
        )
    if _carries_chat(app):
        raise ValueError("this application already serves a chat")
    loaded = _load(settings, websocket_path)
    path = checked_path(socketio_path, loaded.websocket_path)
    composition = compose(
        loaded, verify_token=verify_token, store=store, hooks=hooks, collects_metrics=metrics
    )
    add_to(app, composition, path)
    return composition.chat


def _load(settings: object | None, websocket_path: str | None) -> Settings:
    if settings is None:
        loaded = Settings.from_environment(os.environ, only=mounted_names())
    elif isinstance(settings, Settings):
        loaded = settings
    else:
        loaded = Settings.from_object(settings, only=mounted_names())
    return loaded if websocket_path is None else loaded.replace(websocket_path=websocket_path)


def _carries_chat(app: Starlette) -> bool:
    return any(isinstance(route, ChatMount) for route in app.routes)


def application(
    composition: Composition,
    host: ASGIApp | None = None,
    more: Sequence[BaseRoute] = (),
    *,
    socketio_path: str = SOCKETIO_PATH,
) -> Starlette:
    """Create the Starlette application for a composed chat.

    Args:
        composition: the chat.
        host: the host application, if any.
        more: additional routes; only used without a host application.
        socketio_path: the path for Socket.IO clients.
    """
    watched = WatchedLifespan.of(host) if isinstance(host, Starlette) else None

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            with watched.behind_chat() if watched else nullcontext():
                state = await stack.enter_async_context(host_lifespan(host)) if host else None
            await stack.enter_async_context(running(composition))
            # None means no state; some servers cannot handle an empty one.
            yield cast("dict[str, Any]", state or None)

    own = [HEALTH_ROUTE, create_ready_route(composition.chat.readiness), *more]
    beside: Sequence[BaseRoute] = [HostRoute(host)] if host else own
    chat = chat_routes(composition, NotStarted(IN_FRONT), socketio_path)
    starlette = Starlette(routes=[*chat, *beside], lifespan=lifespan)
    starlette.state.chat = composition.chat
    state = getattr(host, "state", None)
    if isinstance(state, State):  # a FastAPI or Starlette application
        state.chat = composition.chat
    return starlette


def add_to(app: Starlette, composition: Composition, socketio_path: str = SOCKETIO_PATH) -> None:
    """Add a composed chat to an application (`add_chat`)."""
    app.router.routes[:0] = chat_routes(composition, NotStarted(ADDED), socketio_path)
    lifespan_of_host = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(given: Starlette) -> AsyncIterator[Any]:
        failure: Exception | None = None
        async with lifespan_of_host(given) as state, AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(running(composition))
            except Exception as error:  # noqa: BLE001  (the application ends before it is raised)
                failure = error
            else:
                yield state
        if failure is not None:
            raise failure

    app.router.lifespan_context = lifespan
    app.state.chat = composition.chat


def get_chat(connection: HTTPConnection) -> Chat:
    """Return the chat of the application that serves a request or a WebSocket.

    A dependency for FastAPI: `chat: Annotated[Chat, Depends(get_chat)]`.

    Raises:
        LookupError: the application has no chat: it was passed neither to `create_socketio_app`
            nor to `add_chat`.
    """
    return chat_of(connection.app)


def chat_of(app: Starlette) -> Chat:
    """Return the chat of an application.

    Args:
        app: what `create_socketio_app` returned or was given, or what `add_chat` was given.

    Raises:
        LookupError: it has none.
    """
    chat = getattr(app.state, "chat", None)
    if not isinstance(chat, Chat):
        raise LookupError(
            "this application has no chat: pass it to create_socketio_app or add_chat"
        )
    return chat
