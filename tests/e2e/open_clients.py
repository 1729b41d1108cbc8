"""The clients that the running test has opened and not closed.

A failed test does not close its clients. Their sessions would be garbage-collected in a later test,
which would fail with a `ResourceWarning`; the fixture `release_clients` closes them first.
"""

from typing import Protocol


class Releasable(Protocol):
    async def release(self) -> None:
        """Close the sockets at once; nothing happens if they are closed."""
        ...


_open: set[Releasable] = set()


def track(client: Releasable) -> None:
    _open.add(client)


def untrack(client: Releasable) -> None:
    _open.discard(client)


def forget_all() -> None:
    """Forget clients of earlier tests, whose event loop is closed."""
    _open.clear()


async def release_all() -> None:
    while _open:
        await _open.pop().release()
