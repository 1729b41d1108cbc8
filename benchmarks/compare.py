"""Put the same load on several servers in turn.

Rounds go A B C, A B C, so that a drift of the machine's speed affects all servers alike, and each
round starts its own server. `python -m benchmarks.compare --help` explains how to compare manually.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence

import attrs

from benchmarks.figures import Figures, median, ratio
from benchmarks.load.options import Load, add_options
from benchmarks.load.scenarios import SCENARIOS
from benchmarks.running import measure
from benchmarks.servers import SERVERS, Server, available


@attrs.frozen
class Comparison:
    """The figures of all rounds, by server name."""

    load: Load
    rounds: Mapping[str, Sequence[Figures]]

    def median(self, server: Server, figure: str) -> float:
        """Return the median of a server's rounds."""
        return median(self.rounds[server.name], figure)

    def ratio(self, server: Server, against: Server, figure: str) -> float:
        """Return the median ratio of a server's figure to another's."""
        return ratio(self.rounds[server.name], self.rounds[against.name], figure)


def compare(servers: Sequence[Server], load: Load, rounds: int) -> Comparison:
    """Put the load on every server in turn.

    Raises:
        MeasuringError: a server did not start, or lost or rejected a client.
    """
    found: dict[str, list[Figures]] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            began = time.monotonic()
            found[server.name].append(measure(server, load))
            _say(f"{load.scenario}, {load.clients} clients, {server.name}", began)
    return Comparison(load, found)


def _say(what: str, began: float) -> None:
    print(f"{what}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)


def main() -> None:
    """Run a comparison with command line options; print the medians and ratios."""
    parser = argparse.ArgumentParser(description="Compare servers under a load.")
    add_options(parser, list(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--servers",
        default=",".join(SERVERS),
        help=f"the first is what the others are compared with ({','.join(SERVERS)})",
    )
    given = parser.parse_args()
    first, *others = available([SERVERS[name] for name in given.servers.split(",")])
    comparison = compare([first, *others], Load.of(given), given.rounds)
    for server in (first, *others):
        print(f"\n{server.name}")
        for figure in comparison.rounds[server.name][0]:
            line = f"  {figure:18}{comparison.median(server, figure):12.2f}"
            if server is not first and comparison.median(first, figure):
                line += f"{comparison.ratio(server, first, figure):10.2f} x {first.name}'s"
            print(line)


if __name__ == "__main__":
    main()
