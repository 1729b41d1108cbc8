"""What each promise of the chat costs: the chat with it and without it, in the same rounds."""

import sys
from collections.abc import Mapping, Sequence

import attrs

from benchmarks.compare import Comparison, compare
from benchmarks.load.options import Load
from benchmarks.servers import OURS, Server
from socketio_app.entrypoints.settings import names

HIGHEST_RATE = "1000000"
"""So high that every command is counted, and none is rejected."""

RATES = [name for name in names() if name.startswith(("RATE_", "HANDSHAKES_")) and "_PER_" in name]

LIMITED = attrs.evolve(
    OURS,
    name="with rates",
    settings={**OURS.settings, "RATE_LIMITS": "on", **dict.fromkeys(RATES, HIGHEST_RATE)},
)
COUNTED = attrs.evolve(OURS, name="with metrics", serves_metrics=True)
TRACED = attrs.evolve(
    OURS, name="with tracing", command=(sys.executable, "-m", "benchmarks.variants.traced")
)
UNCONFIRMED = attrs.evolve(
    OURS,
    name="without confirmation",
    command=(sys.executable, "-m", "benchmarks.variants.unconfirmed"),
)
SECOND_TRANSPORT = attrs.evolve(
    OURS, name="with /ws", settings={**OURS.settings, "WEBSOCKET_PATH": "/ws"}
)
BOTH_TRANSPORTS = attrs.evolve(
    SECOND_TRANSPORT, name="with half of the clients on /ws", transport="both"
)


@attrs.frozen
class Promise:
    """A promise, and the servers that keep it and do not."""

    title: str
    on: Server
    off: Server = OURS
    fanout: str = "fanout"
    """A key of `LOADS`."""


PROMISES: Sequence[Promise] = [
    Promise("rates", LIMITED),
    Promise("metrics", COUNTED),
    Promise("tracing", TRACED),
    Promise("delivery confirmation", OURS, UNCONFIRMED, "fanout_received"),
    Promise("a second transport, without clients", SECOND_TRANSPORT),
    Promise("a second transport, with half of the clients", BOTH_TRANSPORTS),
]

DIRECT = "direct"
LOADS: Mapping[str, Load] = {name: Load(name) for name in ("fanout", "fanout_received", DIRECT)}


def measure_promises(rounds: int) -> Mapping[str, Comparison]:
    """Measure every promise with and without, by the names of `LOADS`.

    Raises:
        MeasuringError: a server did not start, or lost or rejected a client.
    """
    return {name: compare(servers_of(name), load, rounds) for name, load in LOADS.items()}


def servers_of(load: str) -> Sequence[Server]:
    """Return the servers that one of `LOADS` is put on."""
    found: dict[str, Server] = {}
    for promise in PROMISES:
        if load in {DIRECT, promise.fanout}:
            found |= {server.name: server for server in (promise.off, promise.on)}
    return list(found.values())
