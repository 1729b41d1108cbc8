"""The measurements of the results page, and their results."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime

import attrs

from benchmarks import appends
from benchmarks.compare import Comparison, compare
from benchmarks.load.options import Load
from benchmarks.machine import Machine, this_machine
from benchmarks.promises import measure_promises
from benchmarks.servers import BUN, FLOOR, NODE, OURS, PLAIN, available, ours
from socketio_app.adapters.sql.migrations import migrate_postgres
from tests.servers import postgres

EVERYBODY = (OURS, BUN, NODE, PLAIN, FLOOR)

FANOUT = Load("fanout")
FANOUT_ALONE = Load("fanout", senders=1, window=1)
DIRECT = Load("direct")
AGAINST_ALL: Mapping[str, Load] = {
    "fanout": FANOUT,
    "fanout_alone": FANOUT_ALONE,
    "direct": DIRECT,
    "latency": Load("latency", seconds=5),
    "idle": Load("idle", clients=2000),
}

ROOM_SIZES = (10, 50, 200, 1000)
LARGEST_ROOM = 5000
"""Not measured on other servers, where announcing all joins takes 12 million deliveries."""

SQLITE, POSTGRESQL = ours("SQLite", "sqlite:///chat.db"), ours("PostgreSQL")
DURABLE = {"fanout": FANOUT, "fanout_alone": FANOUT_ALONE, "direct": DIRECT}

SIDE_ROUNDS = 3
"""Maximum number of rounds of measurements without a goal."""

MANY = 10_000
APPENDED_MESSAGES = 5_000


@attrs.frozen
class Results:
    """The results of one run of `make bench`."""

    taken_on: date
    rounds: int
    machine: Machine
    against_all: Mapping[str, Comparison]
    rooms: Mapping[int, Comparison]
    durable: Mapping[str, Comparison]
    promises: Mapping[str, Comparison]
    flood: Comparison
    many_idle: Comparison
    appends: Mapping[str, Mapping[str, appends.Figures]]


def measure_all(rounds: int, idle_seconds: float) -> Results:
    """Measure everything: up to twenty minutes with five rounds.

    Args:
        rounds: how often each server is measured where there is an aim; at most three elsewhere.
        idle_seconds: how long ten thousand connections are held.

    Raises:
        MeasuringError: a server did not start, or lost or refused a client.
    """
    some = min(rounds, SIDE_ROUNDS)
    machine = this_machine()
    everybody = available(EVERYBODY)
    against_all = {name: compare(everybody, load, rounds) for name, load in AGAINST_ALL.items()}
    rooms = {
        size: compare(everybody, attrs.evolve(FANOUT, clients=size), some)
        for size in ROOM_SIZES
        if size != FANOUT.clients
    }
    rooms[FANOUT.clients] = against_all["fanout"]
    rooms[LARGEST_ROOM] = compare([OURS], Load("large", clients=LARGEST_ROOM), some)
    return Results(
        taken_on=datetime.now(UTC).date(),
        rounds=rounds,
        machine=machine,
        against_all=against_all,
        rooms=dict(sorted(rooms.items())),
        durable=_on_databases(rounds, some),
        promises=measure_promises(rounds),
        flood=compare([each for each in everybody if each is not FLOOR], Load("flood"), some),
        many_idle=compare([OURS], Load("idle", clients=MANY, seconds=idle_seconds), 1),
        appends={
            name: asyncio.run(appends.compare_on(name, APPENDED_MESSAGES, rounds))
            for name in appends.DATABASES
        },
    )


def _on_databases(rounds: int, some: int) -> Mapping[str, Comparison]:
    """Measure with each store; only person to person has a goal."""
    with postgres(fsync="on") as server:
        asyncio.run(migrate_postgres(server.url))
        postgresql = ours(POSTGRESQL.name, server.url)
        return {
            name: compare((OURS, SQLITE, postgresql), load, rounds if load is DIRECT else some)
            for name, load in DURABLE.items()
        }
