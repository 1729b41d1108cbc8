"""The standalone server, based on uvicorn."""

import asyncio
import contextlib
import gc
import logging.config
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from types import FrameType

import uvicorn
from starlette.routing import BaseRoute

from socketio_app.adapters.compatibility import http_protocol, websocket_protocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.listening import bound_sockets
from socketio_app.entrypoints.logs import Format, log_config
from socketio_app.entrypoints.operations import serve_operations
from socketio_app.entrypoints.settings import Settings, SettingsError

GARBAGE_THRESHOLD = 4_000
"""Number of new objects after which the garbage collector runs. Collecting those of rejected
connections takes 0.6 ms per thousand, during which nobody is served."""

GRACE_SECONDS = 10
"""Time-out of requests at shutdown."""


log = logging.getLogger("socketio_app")


class _Server(uvicorn.Server):
    """Opens the store before it listens, and drains clients before it waits for connections.

    A store that cannot be opened is thus reported in one line instead of the traceback of a failed
    lifespan, and long polls do not delay the shutdown.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        composition: Composition,
        settings: Settings,
        on_started: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._composition = composition
        self._settings = settings

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down gracefully on the first signal, immediately on the second.

        No acknowledged message is lost: acknowledged messages are on disk.
        """
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
            os._exit(128 + sig)  # PID 1 of a container ignores the signal
        super().handle_exit(sig, frame)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._composition.start()
        try:
            async with serve_operations(self._composition, self._settings):
                await super().serve(sockets)
        except SettingsError:
            await self._composition.close()
            raise

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, and log the address."""
        await super().startup(sockets)
        host, port, *_ = self.servers[0].sockets[0].getsockname()
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        store = self._settings.store_url.partition("://")[0]
        fields = {"address": address, "store": store, "version": version("socketio-app")}
        log.info("serving", extra=fields)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down in an order that loses nothing (docs/running.md)."""
        connections = self._composition.chat.connection_count
        log.info("shutting down", extra={"connections": connections})
        self._composition.chat.readiness.drain()
        await asyncio.sleep(self._settings.drain_delay_seconds)
        for server in self.servers:
            server.close()
        await self._composition.drain(self._settings.drain_seconds)
        await self._composition.stop()
        await super().shutdown(sockets)
        log.info("stopped")


def log_format(settings: Settings) -> Format:
    """Return the log format: `console` if stderr is a terminal, unless it is configured."""
    if settings.log_format == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return "json" if settings.log_format == "json" else "console"


def public_metrics(composition: Composition, settings: Settings) -> Sequence[BaseRoute]:
    """Return `GET /metrics` if it is served on the chat's port."""
    if composition.metrics_route is None or settings.metrics_port != settings.chat_port:
        return ()
    return (composition.metrics_route,)


def serve(settings: Settings, on_started: Callable[[], object] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: the settings.
        on_started: called when clients can connect.

    Raises:
        SettingsError: a setting is invalid, or the port cannot be bound.
        StoreError, Unavailable: the store cannot be opened.
    """
    logging.config.dictConfig(log_config(settings.log_level, log_format(settings)))
    composition = compose(settings)
    config = uvicorn.Config(
        application(composition, more=public_metrics(composition, settings)),
        host=settings.host,
        port=settings.chat_port,
        log_config=None,
        # It would log every poll, with the session id.
        access_log=False,
        http=http_protocol(),
        ws=websocket_protocol(),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ws_max_size=settings.max_frame_bytes,
        # Engine.IO has its own heartbeat. Compression costs more than it saves on chat messages:
        # 40 KB per connection and nearly twice the CPU per delivery.
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
    server = _Server(config, composition, settings, on_started)
    with bound_sockets(settings) as sockets:
        _run(server, sockets)


def _run(server: _Server, sockets: list[socket.socket]) -> None:
    # Messages create no reference cycles, and with the default threshold collection takes a tenth
    # of the time per message. Existing objects are long-lived. Not done in a host's process.
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)
    gc.freeze()
    # After a clean shutdown uvicorn raises the signal again; SIGINT becomes KeyboardInterrupt.
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets)
    if not server.started:
        sys.exit(1)
