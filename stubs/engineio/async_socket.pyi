from asyncio import Queue

from engineio.packet import Packet

class AsyncSocket:
    sid: str
    closed: bool
    upgraded: bool
    queue: Queue[Packet | None]
    async def check_ping_timeout(self) -> bool: ...
    async def close(
        self, wait: bool = True, abort: bool = False, reason: str | None = None
    ) -> None: ...
