"""Serving the chat by itself, with uvicorn."""

import asyncio
import contextlib
import gc
import logging.config
import os
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version
from types import FrameType

import uvicorn
from starlette.routing import BaseRoute

from socketio_app.adapters.compatibility import http_protocol, websocket_protocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.logs import Format, log_config
from socketio_app.entrypoints.operations import operations_served
from socketio_app.entrypoints.settings import Settings, SettingsError

GARBAGE_THRESHOLD = 20_000
"""So many more objects than before are there when the garbage collector looks for cycles."""

GRACE_SECONDS = 10
"""How long requests may take to end when the server does."""


log = logging.getLogger("socketio_app")


class _Server(uvicorn.Server):
    """Has the store before it listens, and lets clients go before it waits for their connections.

    A store that cannot be had is then one line, and no traceback of a failed lifespan; and a
    client's long poll does not hold up the end.
    """

    def __init__(
        self, config: uvicorn.Config, composition: Composition, settings: Settings
    ) -> None:
        super().__init__(config)
        self._composition = composition
        self._settings = settings

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; and end at once when it is asked for again.

        That costs nobody a message: what was acknowledged is on the disk.
        """
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
            os._exit(128 + sig)  # the first process of a container does not die of signals
        super().handle_exit(sig, frame)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._composition.start()
        try:
            async with operations_served(self._composition, self._settings):
                await super().serve(sockets)
        except SettingsError:
            await self._composition.close()
            raise

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        host, port, *_ = self.servers[0].sockets[0].getsockname()
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        store = self._settings.database_url.partition("://")[0]
        fields = {"address": address, "store": store, "version": version("socketio-app")}
        log.info("serving", extra=fields)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in an order that loses nothing (docs/running.md)."""
        connections = self._composition.chat.connection_count
        log.info("ending", extra={"connections": connections})
        self._composition.chat.readiness.drain()
        await asyncio.sleep(self._settings.drain_delay_seconds)
        for server in self.servers:
            server.close()
        await self._composition.drain(self._settings.drain_seconds)
        await self._composition.stop()
        await super().shutdown(sockets)
        log.info("ended")


def log_format(settings: Settings) -> Format:
    """How lines are to look: for a person where stderr is a terminal, unless it is set."""
    if settings.log_format == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return "json" if settings.log_format == "json" else "console"


def public_metrics(composition: Composition, settings: Settings) -> Sequence[BaseRoute]:
    """`GET /metrics`, where it is to be on the chat's own port."""
    if composition.metrics_route is None or settings.metrics_port != settings.chat_port:
        return ()
    return (composition.metrics_route,)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError: a setting is wrong.
        StoreFileError, SchemaError, Unavailable: the store cannot be had.
        SystemExit: the port cannot be had; uvicorn has logged why.
    """
    logging.config.dictConfig(log_config(settings.log_level, log_format(settings)))
    composition = compose(settings)
    config = uvicorn.Config(
        application(composition, more=public_metrics(composition, settings)),
        host=settings.host,
        port=settings.chat_port,
        log_config=None,
        # It would name sessions, one line for each poll.
        access_log=False,
        http=http_protocol(),
        ws=websocket_protocol(),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ws_max_size=settings.max_frame_bytes,
        # Engine.IO has its own heartbeat, and compression costs more than it saves on chat
        # messages: 40 KB for each connection, and nearly twice the CPU for each delivery.
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
    server = _Server(config, composition, settings)
    # Nothing that a message leaves behind is a cycle: to look for some so often is a tenth of its
    # cost; and what is there by now stays. A host application's own process is left as it is.
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)
    gc.freeze()
    # After a clean end uvicorn raises the signal again, which for SIGINT is this.
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(1)
