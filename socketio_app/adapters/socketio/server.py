"""The chat's Socket.IO server."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from secrets import token_urlsafe
from typing import Any

import attrs
import engineio

from socketio_app.adapters.compatibility import check_engine
from socketio_app.adapters.engineio.client_session import ClientSession
from socketio_app.adapters.engineio.connect_timeout import ConnectTimeout
from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.drain import drain_all
from socketio_app.adapters.engineio.handshake_limit import HandshakeLimit
from socketio_app.adapters.engineio.heartbeat import Heartbeat
from socketio_app.adapters.engineio.server import EngineServer
from socketio_app.adapters.engineio.session import EngineSession
from socketio_app.adapters.fanout.connect_limit import ConnectLimit, ConnectRates
from socketio_app.adapters.fanout.dispatcher import CommandDispatcher
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.refusal_log import RefusalLog
from socketio_app.adapters.fanout.registry import ConnectionRegistry
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING
from socketio_app.adapters.socketio.session import Services, Session
from socketio_app.application.cancellation import start_task
from socketio_app.application.chat import Chat
from socketio_app.application.metrics import Metrics
from socketio_app.application.ports import TokenVerifier
from socketio_app.application.tracing import Tracing
from socketio_app.domain.rates import Rate

log = logging.getLogger("socketio_app.socketio")


@attrs.frozen
class Options:
    """How the server speaks to the network."""

    cors_origins: Sequence[str] | None = None
    """The web origins that may connect; `None`: only the server's own; `["*"]`: all."""
    max_frame_bytes: int = 65536
    ping_interval_seconds: float = 25
    ping_timeout_seconds: float = 20
    max_unread_bytes: int = 1_048_576
    """Maximum size of what is queued for a client that does not read; beyond, it is cut off."""
    ephemeral_unread_bytes: int = 65_536
    """While more than this is queued for a client, it gets no typing notifications."""
    connect_timeout_seconds: float = 20
    """Time-out of authentication; 0: none."""
    handshakes: Rate | None = None
    """Rate of handshakes from one address; `None`: unlimited."""
    connects: ConnectRates = ConnectRates()
    """Rates of connecting to the namespace."""
    runs_outside_tasks: bool = False
    """See `SessionContext.runs_outside_tasks`."""


def new_session_id() -> str:
    """Return an id that nobody can guess."""
    return token_urlsafe(15)


class SocketIOServer:
    """Serves the chat on Socket.IO's namespace `/`."""

    def __init__(
        self,
        chat: Chat,
        hub: Hub,
        verifier: TokenVerifier,
        options: Options,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
        new_id: Callable[[], str] = new_session_id,
    ) -> None:
        check_engine(engineio.AsyncServer)
        self._metrics = metrics
        self._draining: asyncio.Task[None] | None = None
        refusals = RefusalLog()
        self._context = SessionContext(
            Heartbeat(options.ping_interval_seconds, options.ping_timeout_seconds),
            ConnectTimeout(options.connect_timeout_seconds),
            max_message_bytes=options.max_frame_bytes,
            max_unread_bytes=options.max_unread_bytes,
            ephemeral_unread_bytes=options.ephemeral_unread_bytes,
            runs_outside_tasks=options.runs_outside_tasks and tracing is None,
            on_confirmed=chat.delivery.received,
        )
        registry = ConnectionRegistry(
            chat,
            hub,
            verifier,
            ConnectLimit(options.connects),
            refusals,
            SOCKETIO_ENCODING,
            new_id,
            metrics,
        )
        self._services = Services(
            registry,
            CommandDispatcher(chat, refusals, metrics, tracing),
            self._context.connect_timeout,
        )
        self._engine = EngineServer(
            self._context,
            HandshakeLimit(options.handshakes),
            new_session_id=new_id,
            open_receiver=self._open_session,
            on_too_many=self._count_too_many_handshakes,
            on_shutdown=self._drain_soon,
            cors_origins=options.cors_origins,
        )
        self.handle_request = self._engine.handle_request
        """Answers a request, or serves a WebSocket: takes ASGI's scope, receive and send."""

    def _open_session(self, engine: EngineSession, environ: Mapping[str, Any]) -> Session:
        return Session(self._services, engine, environ)

    def _count_too_many_handshakes(self) -> None:
        if self._metrics is not None:
            self._metrics.refused["too_many_handshakes"] += 1

    @property
    def sessions(self) -> Sequence[ClientSession]:
        """The sessions that have not ended."""
        return [*self._context.sessions.values()]

    @property
    def unread_bytes(self) -> int:
        """Size of what is queued for all clients."""
        return sum(session.unread_bytes for session in self._context.sessions.values())

    @property
    def dropped_frames(self) -> int:
        """Number of frames dropped because their clients did not read."""
        return self._context.dropped_frames

    def start(self) -> None:
        """Accept connections: at the beginning, and again after `stop`."""
        self._engine.is_draining = False
        self._draining = None

    async def drain(self, seconds: float) -> None:
        """Refuse new connections, and close the existing ones so that they reconnect elsewhere.

        Args:
            seconds: over how long they are closed. They are served meanwhile, and polling clients
                can then fetch what is queued for them.
        """
        await self._drain(seconds)
        await self._context.leftovers.fetched()

    async def _drain(self, seconds: float) -> None:
        self._engine.is_draining = True
        sessions = self.sessions
        await drain_all(sessions, seconds)
        if sessions:
            log.info("closed all connections", extra={"connections": len(sessions)})

    def _drain_soon(self) -> None:
        """Close all connections: the server shuts down, and waits for polls."""
        self._draining = start_task(self._drain(0))

    async def stop(self) -> None:
        """Close all connections immediately. Calling it twice is harmless."""
        self._engine.shutdown_notice.leave()
        if self._draining is not None:
            await asyncio.wait([self._draining])
        await self._drain(0)
        self._context.stop()
