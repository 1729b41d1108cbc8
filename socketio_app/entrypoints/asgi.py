"""The chat as an ASGI application, by itself or with a host."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from socketio_app.adapters.http import HEALTH, ready
from socketio_app.application.ports import Store
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.mounted_app import HostRoute, host_lifespan
from socketio_app.entrypoints.not_started import NotStarted
from socketio_app.entrypoints.settings import Settings


def create_socketio_app(
    app: ASGIApp | None = None,
    *,
    settings: object | None = None,
    verify_token: Callable[[str], object] | None = None,
    store: Store | None = None,
) -> Starlette:
    """Put the chat in front of an application.

    What comes back is served in the application's place: `/socket.io/` is the chat's and the rest
    is the application's, its WebSockets, lifespan and errors included. `state.chat` is the chat
    itself, for the application's own use.

    Args:
        app: a FastAPI, Starlette or any other ASGI application; without one, the chat is served
            with `/healthz` and `/readyz` beside it.
        settings: any object that has settings as attributes (docs/configuration.md), as FastAPI
            projects have; what it does not have takes its default. Without it, the environment and
            `.env` are read.
        verify_token: the application's own check of a token, sync or async. Takes the token and
            returns the user's id, or claims with a `sub`; returns `None` or raises to refuse.
        store: where messages and memberships are kept, if not in memory.

    Raises:
        SettingsError: a setting is wrong; the message is one line that names it.
    """
    if settings is None:
        loaded = Settings.from_environment(os.environ)
    elif isinstance(settings, Settings):
        loaded = settings
    else:
        loaded = Settings.from_object(settings)
    return application(compose(loaded, verify_token=verify_token, store=store), app)


def application(
    composition: Composition, host: ASGIApp | None = None, more: Sequence[BaseRoute] = ()
) -> Starlette:
    """The Starlette application of a chat that is put together already.

    Args:
        composition: the chat.
        host: the application that it is put in front of.
        more: where there is none, what is served beside the chat and its health.
    """
    not_started = NotStarted()

    async def serve_socketio(scope: Scope, receive: Receive, send: Send) -> None:
        if composition.chat.was_started:
            await composition.server.handle_request(scope, receive, send)
        else:
            await not_started(scope, receive, send)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            state = await stack.enter_async_context(host_lifespan(host)) if host else None
            await composition.start()
            stack.push_async_callback(composition.close)
            stack.push_async_callback(composition.stop)
            # Starlette takes None for no state; and not every server can carry an empty one.
            yield cast("dict[str, Any]", state or None)

    own = [HEALTH, ready(composition.chat.readiness), *more]
    beside: Sequence[BaseRoute] = [HostRoute(host)] if host else own
    starlette = Starlette(routes=[*_socketio_routes(serve_socketio), *beside], lifespan=lifespan)
    starlette.state.chat = composition.chat
    return starlette


PATH = "/socket.io"


def _socketio_routes(serve: ASGIApp) -> Sequence[BaseRoute]:
    """The chat at its path, with and without a slash at the end (`addTrailingSlash` of clients)."""
    endpoint = _AsgiEndpoint(serve)
    return [Route(PATH, endpoint), WebSocketRoute(PATH, endpoint), Mount(PATH, serve)]


class _AsgiEndpoint:
    """An ASGI application that is no function: of functions Starlette makes request handlers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
