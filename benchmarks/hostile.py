"""Measure how hostile clients affect others, and write docs/hostile.md (`make bench-hostile`)."""

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import attrs

from benchmarks.compare import Comparison, compare
from benchmarks.load.attacks import ATTACKS
from benchmarks.load.options import Load
from benchmarks.machine import Machine, this_machine
from benchmarks.report.page import described
from benchmarks.report.tables import number, table, times
from benchmarks.servers import HERE, Server

PAGE = HERE.parent / "docs" / "hostile.md"
TEMPLATE = Path(__file__).parent / "report" / "hostile.md"

SERVER = Server(
    "socketio-app",
    (sys.executable, "-m", "socketio_app.server"),
    {"DATABASE_URL": "memory://", "LOG_LEVEL": "error"},
)
"""The chat with default limits."""

MANY_CONNECTIONS = 20
MAX_GROWTH = 2.0
"""The goal: another user's 99th percentile at most doubles."""


@attrs.frozen
class Results:
    """The results of one run."""

    taken_on: date
    rounds: int
    machine: Machine
    one_connection: Mapping[str, Comparison]
    one_address: Mapping[str, Comparison]


def measure_all(rounds: int, seconds: float) -> Results:
    """Measure each kind of attack, over one connection and over many from one address.

    Raises:
        MeasuringError: the server did not start, or lost or rejected another user's client.
    """
    return Results(
        datetime.now(UTC).date(),
        rounds,
        this_machine(),
        _attacked(1, rounds, seconds),
        _attacked(MANY_CONNECTIONS, rounds, seconds),
    )


def _attacked(connections: int, rounds: int, seconds: float) -> Mapping[str, Comparison]:
    load = Load("hostile", attackers=connections, seconds=seconds)
    return {kind: compare([SERVER], attrs.evolve(load, attack=kind), rounds) for kind in ATTACKS}


def page(results: Results) -> str:
    """Return the page, in Markdown."""
    return TEMPLATE.read_text().format(
        taken_on=f"{results.taken_on:%-d %B %Y}",
        rounds=results.rounds,
        connections=MANY_CONNECTIONS,
        one_connection=_table(results.one_connection),
        one_address=_table(results.one_address),
        machine=described(results.machine),
    )


def _table(comparisons: Mapping[str, Comparison]) -> str:
    rows = []
    for kind, comparison in comparisons.items():
        alone, attacked, growth, cpu = (
            comparison.median(SERVER, figure)
            for figure in ("p99_alone_ms", "p99_attacked_ms", "p99_growth", "cpu_percent")
        )
        verdict = "reached" if growth < MAX_GROWTH else "missed"
        cells = [number(alone), number(attacked), times(growth), verdict, number(cpu)]
        rows.append([ATTACKS[kind].title, *cells])
    head = ["", "p99 without, ms", "p99 with, ms", "growth", "goal", "server's CPU, %"]
    return table(head, rows)


def main() -> None:
    """Run the benchmark with command line options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each is measured")
    given = parser.parse_args()
    PAGE.write_text(page(measure_all(given.rounds, given.seconds)))


if __name__ == "__main__":
    main()
