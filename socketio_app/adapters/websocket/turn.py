"""How much of one connection's input is handled before the event loop serves others."""

from time import perf_counter
from typing import Final

AT_ONCE: Final = 16
"""Packets of a connection in one turn of the loop."""

MAX_TURN_SECONDS: Final = 0.001
"""Time of a connection in one turn of the loop. A packet that has begun is finished."""

MAX_TURN_BYTES: Final = 65_536
"""Bytes read of a connection in one turn of the loop; a single read may return more."""


class Turn:
    """A connection's share of one turn of the loop."""

    __slots__ = ("_ends_at", "_left")

    def __init__(self) -> None:
        self._left = AT_ONCE
        self._ends_at = perf_counter() + MAX_TURN_SECONDS

    def is_over(self) -> bool:
        """Count a packet that was handled; whether the others come first now."""
        self._left -= 1
        return self._left <= 0 or perf_counter() >= self._ends_at
