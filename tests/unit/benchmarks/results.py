"""Results of an invented run."""

from collections.abc import Sequence
from datetime import date

from benchmarks.appends import TOGETHER, Figures
from benchmarks.compare import Comparison
from benchmarks.load.options import Load
from benchmarks.machine import Machine
from benchmarks.promises import (
    BOTH_TRANSPORTS,
    COUNTED,
    LIMITED,
    LOADS,
    SECOND_TRANSPORT,
    TRACED,
    UNCONFIRMED,
    servers_of,
)
from benchmarks.servers import BUN, FLOOR, NODE, OURS, PLAIN, Server
from benchmarks.suite import AGAINST_ALL, DURABLE, EVERYBODY, POSTGRESQL, SQLITE, Results

FACTORS = {
    OURS.name: 1.0,
    SQLITE.name: 2.0,
    POSTGRESQL.name: 3.0,
    NODE.name: 4.0,
    BUN.name: 2.0,
    PLAIN.name: 8.0,
    FLOOR.name: 0.5,
    LIMITED.name: 1.5,
    COUNTED.name: 1.5,
    TRACED.name: 2.5,
    UNCONFIRMED.name: 0.5,
    SECOND_TRANSPORT.name: 1.0,
    BOTH_TRANSPORTS.name: 1.25,
}
"""Each server's figures, as multiples of ours."""

FIGURES = {
    "cpu_us": 2.0,
    "connect_cpu_us": 500.0,
    "deliveries_per_s": 1000.0,
    "p99_ms": 3.0,
    "kib_per_connection": 10.0,
    "cpu_percent": 1.5,
    "p99_alone_ms": 3.0,
    "p99_flooded_ms": 6.0,
    "p99_growth": 2.0,
    "flood_per_s": 7000.0,
}


def comparison(load: Load, servers: Sequence[Server] = EVERYBODY) -> Comparison:
    """Return two rounds, the second on a machine that is half as fast."""
    return Comparison(
        load,
        {
            server.name: [
                {name: value * FACTORS[server.name] * slower for name, value in FIGURES.items()}
                for slower in (1, 2)
            ]
            for server in servers
        },
    )


def results(servers: Sequence[Server] = EVERYBODY) -> Results:
    """Return a run in which Node used four times the CPU, and Bun twice."""
    return Results(
        taken_on=date(2030, 1, 2),
        rounds=2,
        machine=Machine("A processor", 2, 16, "Linux 9", {"Python": "3.99"}),
        against_all={name: comparison(load, servers) for name, load in AGAINST_ALL.items()},
        rooms={
            10: comparison(Load("fanout", clients=10), servers),
            5000: comparison(Load("large", clients=5000), [OURS]),
        },
        durable={
            name: comparison(load, [OURS, SQLITE, POSTGRESQL]) for name, load in DURABLE.items()
        },
        promises={name: comparison(load, servers_of(name)) for name, load in LOADS.items()},
        flood=comparison(Load("flood"), servers),
        many_idle=comparison(Load("idle", clients=10_000, seconds=60), [OURS]),
        appends={
            "sqlite": {TOGETHER: Figures(12345.6, 31.4, 3.98, 16.1)},
            "postgresql": {TOGETHER: Figures(27_000, 16.7, 3.21, 4.78)},
        },
    )
