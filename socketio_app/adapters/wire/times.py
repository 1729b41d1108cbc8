"""Times on the wire."""

from datetime import datetime
from functools import lru_cache


@lru_cache(maxsize=64)
def time(moment: datetime) -> str:
    """Format a UTC time as RFC 3339 with milliseconds: `2026-11-23T12:00:00.123Z`.

    Results are cached, because many events have the same millisecond.
    """
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
