"""Free ports for servers that tests start as processes."""

import os
import random
import socket
from collections.abc import Iterator
from itertools import cycle

FIRST, LAST = 15_000, 32_000
MAX_WORKERS = 64


def free_port() -> int:
    """Return a free port of the loopback interface.

    It is outside the system's range of ephemeral ports: an outgoing connection could take one of
    those before the server binds it.
    """
    for port in _candidates:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError


def _ports_of(worker: str) -> Iterator[int]:
    """Yield ports reserved for a worker, from a random one on, as test runs share the range."""
    share = int(worker.removeprefix("gw")) + 1 if worker else 0
    ports = range(FIRST + share % MAX_WORKERS, LAST, MAX_WORKERS)
    first = random.randrange(len(ports))  # noqa: S311  (chance, not a secret)
    return cycle([*ports[first:], *ports[:first]])


_candidates = _ports_of(os.environ.get("PYTEST_XDIST_WORKER", ""))
