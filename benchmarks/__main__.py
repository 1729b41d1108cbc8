"""Run all benchmarks, and write docs/benchmarks.md and its plot (`make bench`)."""

import argparse

import msgspec

from benchmarks.reached import record, speed_ups
from benchmarks.report.large_stores import section_of
from benchmarks.report.page import page, picture
from benchmarks.servers import HERE
from benchmarks.suite import Results, measure_all

DOCS = HERE.parent / "docs"
RESULTS = HERE / "results.json"
"""The figures of all rounds of the last run, for this machine only."""


def main() -> None:
    """Run the benchmarks with command line options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle-seconds", type=float, default=60.0)
    parser.add_argument(
        "--record", action="store_true", help="hold CI to what is reached now (reached.toml)"
    )
    parser.add_argument(
        "--again", action="store_true", help="measure nothing; write the last run's results"
    )
    given = parser.parse_args()
    if not given.again:
        results = measure_all(given.rounds, given.idle_seconds)
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    results = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    large_stores = section_of((DOCS / "benchmarks.md").read_text())
    (DOCS / "benchmarks.md").write_text(page(results, large_stores))
    (DOCS / "benchmarks.svg").write_text(picture(results))
    if given.record:
        record(speed_ups(results.against_all))


if __name__ == "__main__":
    main()
