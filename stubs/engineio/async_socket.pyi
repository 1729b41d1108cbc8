from typing import Any

from engineio.packet import Packet

class AsyncSocket:
    sid: str
    connected: bool
    upgrading: bool
    upgraded: bool
    closing: bool
    closed: bool
    def __init__(self, server: Any, sid: str) -> None: ...
    async def handle_get_request(self, environ: dict[str, Any]) -> Any: ...
    async def check_ping_timeout(self) -> bool: ...
    async def close(
        self, wait: bool = True, abort: bool = False, reason: str | None = None
    ) -> None: ...
