"""Endpoints for operators, on a port of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from uvicorn.server import ServerState

from socketio_app.entrypoints.composition import Composition
from socketio_app.entrypoints.operations_app import operations_app
from socketio_app.entrypoints.settings import Settings, SettingsError


@asynccontextmanager
async def serve_operations(composition: Composition, settings: Settings) -> AsyncIterator[None]:
    """Serve `/metrics`, `/healthz` and `/readyz` on `METRICS_PORT`, unless it is the chat's port.

    Raises:
        SettingsError: the port cannot be bound.
    """
    if composition.metrics_route is None or settings.metrics_port == settings.chat_port:
        yield
        return
    app = operations_app(composition.chat)
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, ws="none")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()

    def protocol() -> asyncio.Protocol:
        made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=state, app_state={}, _loop=loop
        )
        return made

    try:
        server = await loop.create_server(protocol, settings.metrics_host, settings.metrics_port)
    except OSError as error:
        raise SettingsError(f"cannot bind METRICS_PORT: {error.strerror or error}") from None
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
