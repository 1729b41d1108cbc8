from typing import Any

OPEN: int
CLOSE: int
PING: int
MESSAGE: int
NOOP: int

class Packet:
    packet_type: int
    def __init__(self, packet_type: int = ..., data: Any = None) -> None: ...
    def encode(self, b64: bool = False) -> str | bytes: ...
