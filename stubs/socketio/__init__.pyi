# The part of python-socketio that the project uses; the library ships no type information.
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from engineio import AsyncServer as EngineServer
from socketio import exceptions as exceptions
from socketio.packet import Packet

class _Manager:
    rooms: dict[str, dict[str | None, dict[str, str]]]
    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None: ...

class AsyncServer:
    reason: type[EngineServer.reason]
    eio: Any  # of `_engineio_server_class`
    environ: dict[str, dict[str, Any]]
    manager: _Manager
    packet_class: type[Packet]
    def __init__(
        self,
        *,
        async_mode: str,
        serializer: type[Packet],
        cors_allowed_origins: str | Sequence[str] | None,
        cors_credentials: bool,
        max_http_buffer_size: int,
        ping_interval: float,
        ping_timeout: float,
        logger: bool,
        engineio_logger: bool,
    ) -> None: ...
    def on(self, event: str, handler: Callable[..., Awaitable[object]]) -> None: ...
    async def handle_request(self, scope: Any, receive: Any, send: Any) -> object: ...
    async def shutdown(self) -> None: ...
    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None: ...
    async def _handle_disconnect(
        self, eio_sid: str, namespace: str | None, reason: str | None = None
    ) -> None: ...
    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None: ...
    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None: ...
    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None: ...
    async def _send_packet(self, eio_sid: str, pkt: Packet) -> None: ...
    def _engineio_server_class(self) -> type[EngineServer]: ...

class AsyncClient:
    sid: str | None
    connected: bool
    def __init__(self, **options: Any) -> None: ...
    def on(self, event: str, handler: Callable[..., object]) -> None: ...
    async def connect(
        self,
        url: str,
        *,
        auth: object = None,
        headers: dict[str, str] = ...,
        transports: list[str] | None = None,
        wait_timeout: float = ...,
    ) -> None: ...
    async def emit(
        self, event: str, data: object = None, callback: Callable[..., object] | None = None
    ) -> None: ...
    async def call(self, event: str, data: object = None, timeout: float = ...) -> Any: ...
    async def disconnect(self) -> None: ...
    def transport(self) -> str: ...
