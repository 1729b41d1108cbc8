"""Limits on how much input of one connection is handled per turn of the event loop."""

from time import perf_counter
from typing import Final

MAX_TURN_PACKETS: Final = 16
"""Maximum number of packets handled per connection and turn of the loop."""

MAX_TURN_SECONDS: Final = 0.001
"""Maximum time per connection and turn of the loop. A packet in progress is completed."""

MAX_TURN_BYTES: Final = 65_536
"""Maximum bytes read per connection and turn of the loop; a single read may return more."""


class Turn:
    """A connection's share of one turn of the loop."""

    __slots__ = ("_ends_at", "_left")

    def __init__(self) -> None:
        self._left = MAX_TURN_PACKETS
        self._ends_at = perf_counter() + MAX_TURN_SECONDS

    def is_over(self) -> bool:
        """Count a handled packet; return whether to let the loop serve other connections."""
        self._left -= 1
        return self._left <= 0 or perf_counter() >= self._ends_at
