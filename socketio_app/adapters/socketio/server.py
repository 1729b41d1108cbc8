"""The chat's Socket.IO server."""

import asyncio
from collections.abc import Mapping
from typing import Any

import engineio

from socketio_app.adapters.compatibility import check_engine
from socketio_app.adapters.engineio.server import EngineServer
from socketio_app.adapters.engineio.session import EngineSession
from socketio_app.adapters.engineio.session_server import SessionServer
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING
from socketio_app.adapters.socketio.session import Services, Session
from socketio_app.application.cancellation import start_task


class SocketIOServer(SessionServer):
    """Serves the chat in Socket.IO's namespace `/`."""

    encoding = SOCKETIO_ENCODING

    def __attrs_post_init__(self) -> None:
        check_engine(engineio.AsyncServer)
        super().__attrs_post_init__()
        self._draining: asyncio.Task[None] | None = None
        self._services = Services(self.registry, self.dispatcher, self.context.connect_timeout)
        self._engine = EngineServer(
            self.context,
            new_session_id=self.new_id,
            open_receiver=self._open_session,
            rejection_of=self.rejection_of,
            on_shutdown=self._drain_soon,
            cors_origins=self.cors_origins,
            allows_jsonp=self.registry.request_verifier is None,
        )
        self.handle_request = self._engine.handle_request

    def _open_session(self, engine: EngineSession, environ: Mapping[str, Any]) -> Session:
        return Session(self._services, engine, environ)

    def start(self) -> None:
        """See `SessionServer.start`."""
        super().start()
        self._draining = None

    def _drain_soon(self) -> None:
        """Start closing all connections: the server is shutting down and waits for open polls."""
        self._draining = start_task(self.close_sessions(0))

    async def stop(self) -> None:
        """See `SessionServer.stop`."""
        self._engine.shutdown_notice.leave()
        if self._draining is not None:
            await asyncio.wait([self._draining])
        await super().stop()
