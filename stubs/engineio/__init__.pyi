# The part of python-engineio that the project uses; the library ships no type information.
from collections.abc import Sequence
from typing import Any

from engineio import payload as payload

class AsyncServer:
    # They hold what `_handle_connect` makes, which is the project's own.
    sockets: dict[str, Any]
    start_service_task: bool
    _async: dict[str, Any]
    ping_interval: float
    ping_timeout: float
    max_http_buffer_size: int
    class reason:
        CLIENT_DISCONNECT: str
        SERVER_DISCONNECT: str
        TRANSPORT_CLOSE: str
        TRANSPORT_ERROR: str
        PING_TIMEOUT: str
    def __init__(self, **options: Any) -> None: ...
    def generate_id(self) -> str: ...
    def _upgrades(self, sid: str, transport: str) -> list[str]: ...
    async def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any: ...
    async def handle_request(self, *request: Any) -> object: ...
    async def _make_response(self, response: dict[str, Any], environ: dict[str, Any]) -> object: ...
    def _ok(
        self,
        packets: Sequence[Any] | None = None,
        headers: list[tuple[str, str]] | None = None,
        jsonp_index: int | None = None,
    ) -> dict[str, Any]: ...
    def _bad_request(self, message: str | None = None) -> dict[str, Any]: ...
    def _cors_allowed_origins(self, environ: dict[str, Any]) -> list[str] | None: ...
