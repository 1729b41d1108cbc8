"""The composition root: names the concrete adapters and connects them.

The stores are in a table of their own, `stores`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
from starlette.routing import BaseRoute, Route

from socketio_app.adapters.custom_verifier import VerifyToken
from socketio_app.adapters.engineio.options import Options
from socketio_app.adapters.engineio.session_server import SessionServer
from socketio_app.adapters.fanout.connect_limit import ConnectRates
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.hub_group import HubGroup
from socketio_app.adapters.fanout.large_rooms import SLICE_CONNECTIONS
from socketio_app.adapters.hooks.host_hooks import HostHooks
from socketio_app.adapters.jsonsocket.server import JsonSocketServer
from socketio_app.adapters.prometheus import metrics_route
from socketio_app.adapters.socketio.server import SocketIOServer
from socketio_app.adapters.system import SystemClock, new_message_id
from socketio_app.adapters.wire.registry import COMMANDS
from socketio_app.application.cancellation import start_task
from socketio_app.application.chat import Chat
from socketio_app.application.hooks import Hooks
from socketio_app.application.metrics import Metrics
from socketio_app.application.ports import Store, TokenVerifier
from socketio_app.application.tracing import Tracing
from socketio_app.entrypoints.settings import Settings
from socketio_app.entrypoints.stores import create_store
from socketio_app.entrypoints.verifiers import custom_verifier, jwt_verifier
from socketio_app.entrypoints.worker_lock import WORKER_LOCK

WEBSOCKET_TRANSPORTS: Final[Mapping[type[SessionServer], Callable[[Settings], str]]] = {
    JsonSocketServer: lambda settings: settings.websocket_path,
}
"""Transports over plain WebSockets, each with its path; a transport with an empty path is off."""

HTTP_ROUTES: Final[Sequence[Callable[[Chat, TokenVerifier], BaseRoute]]] = ()
"""Functions that create HTTP routes of the chat; these precede the host application's."""


@attrs.frozen
class Composition:
    """A chat with its servers and store."""

    chat: Chat
    server: SocketIOServer
    store: Store
    metrics_route: Route | None = None
    """`GET /metrics`, if metrics are enabled."""
    websockets: Mapping[str, SessionServer] = attrs.field(factory=dict)
    """The servers of plain WebSockets, by path."""
    routes: Sequence[BaseRoute] = ()
    """HTTP routes of the chat."""
    hooks: HostHooks | None = None
    """The host application's hooks, if there are any."""

    @property
    def servers(self) -> Sequence[SessionServer]:
        """All servers."""
        return [self.server, *self.websockets.values()]

    async def start(self) -> None:
        """Open the store, and start the chat and the server.

        Raises:
            StoreError, Unavailable: the store cannot be opened.
            SettingsError: the store is not persistent, and another worker of the server is running.
        """
        if not self.store.capabilities.is_persistent:
            await WORKER_LOCK.acquire(self.chat)
        await self.store.start()
        if self.hooks is not None:
            self.hooks.open()
        self.chat.open()
        for server in self.servers:
            server.start()

    async def drain(self, seconds: float) -> None:
        """Close all connections, spread over some seconds, after finishing their commands.

        Connections that are still open are served meanwhile.
        """
        self.chat.readiness.drain()
        draining = [start_task(server.drain(seconds)) for server in self.servers]
        await asyncio.wait(draining)
        for each in draining:
            each.result()

    async def stop(self) -> None:
        """Reject further commands and close every connection. Idempotent."""
        self.chat.close()
        for server in self.servers:
            await server.stop()

    async def close(self) -> None:
        """Finish calls of hooks, and close the store after it has committed what was accepted."""
        if self.hooks is not None:
            await self.hooks.close()
        await self.store.close()
        if not self.store.capabilities.is_persistent:
            WORKER_LOCK.release(self.chat)


def compose(
    settings: Settings,
    *,
    verify_token: VerifyToken | None = None,
    store: Store | None = None,
    collects_metrics: bool = False,
    hooks: Hooks | None = None,
    slice_connections: int = SLICE_CONNECTIONS,
) -> Composition:
    """Compose a chat from its settings.

    Args:
        settings: the settings.
        verify_token: a function that verifies tokens instead of the configured keys.
        store: the store to use instead of the configured one.
        collects_metrics: whether to collect metrics even if they have no port.
        hooks: functions to call after something happened in the chat.
        slice_connections: see `Hub`.

    Raises:
        SettingsError: a setting is invalid.
    """
    clock = SystemClock()
    verifier = (
        jwt_verifier(settings, clock)
        if verify_token is None
        else custom_verifier(verify_token, settings, clock)
    )
    metrics = Metrics(COMMANDS) if collects_metrics or settings.metrics_port else None
    tracing = configured_tracing()
    hub = Hub(SocketIOServer.encoding, slice_connections, metrics)
    websocket_hubs = {
        path: (transport, Hub(transport.encoding, slice_connections, metrics))
        for transport, path_in in WEBSOCKET_TRANSPORTS.items()
        if (path := path_in(settings))
    }
    hubs = [hub, *(each for _, each in websocket_hubs.values())]
    broadcast = HubGroup(hubs) if len(hubs) > 1 else hub
    store = store if store is not None else create_store(settings.store_url, settings)
    host_hooks = (
        HostHooks(hooks, store.deliveries, clock, metrics)
        if hooks is not None and hooks.are_set
        else None
    )
    limits = settings.limits()
    chat = Chat(store, broadcast, verifier, clock, new_message_id, limits, metrics, host_hooks)
    options = Options(
        cors_origins=settings.backend_cors_origins or None,
        max_frame_bytes=settings.max_frame_bytes,
        ping_interval_seconds=settings.ping_interval_seconds,
        ping_timeout_seconds=settings.ping_timeout_seconds,
        max_unread_bytes=settings.max_unread_bytes,
        ephemeral_unread_bytes=settings.typing_unread_bytes,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        handshakes=settings.handshake_rate,
        connects=ConnectRates(*settings.connect_rates),
        runs_outside_tasks=store.capabilities.runs_outside_tasks,
        groups_sends=store.capabilities.append_queue is not None,
    )
    server = SocketIOServer(chat, hub, verifier, options, metrics, tracing)
    websockets = {
        path: transport(chat, each, verifier, options, metrics, tracing)
        for path, (transport, each) in websocket_hubs.items()
    }
    servers = [server, *websockets.values()]
    metrics_route = None if metrics is None else create_metrics_route(metrics, chat, servers, store)
    routes = [create_route(chat, verifier) for create_route in HTTP_ROUTES]
    if metrics is not None:
        metrics.hook_calls_waiting = lambda: 0 if host_hooks is None else host_hooks.waiting
    return Composition(chat, server, store, metrics_route, websockets, routes, host_hooks)


def configured_tracing() -> Tracing | None:
    """Return the tracing of commands if OpenTelemetry is installed and configured."""
    try:
        from socketio_app.adapters.opentelemetry import tracing
    except ImportError:
        return None
    return tracing()


def create_metrics_route(
    metrics: Metrics, chat: Chat, servers: Sequence[SessionServer], store: Store
) -> Route:
    """Return `GET /metrics` with the metrics, those of the chat, servers and store included."""
    metrics.connections = lambda: chat.connection_count
    metrics.unread_bytes = lambda: sum(server.unread_bytes for server in servers)
    transactions = store.capabilities.transactions
    if transactions is not None:
        transactions.watch(metrics.count_commit)
        metrics.commit_waiting = lambda: transactions.waiting
    return metrics_route(metrics)
