"""A short check for CI: whether the chat is still far enough ahead of plain python-socketio.

It exits with status 1 if not (`reached.py`).
"""

import sys

import attrs

from benchmarks.compare import compare
from benchmarks.reached import KEPT_SHARE, against_reached, speed_ups
from benchmarks.servers import OURS, PLAIN
from benchmarks.suite import DIRECT, FANOUT, FANOUT_ALONE

ROUNDS = 3
SECONDS, WARM_UP = 1.5, 0.5


def main() -> int:
    """Measure, and print the results; return the exit status."""
    loads = {"fanout": FANOUT, "fanout_alone": FANOUT_ALONE, "direct": DIRECT}
    comparisons = {
        name: compare([OURS, PLAIN], attrs.evolve(load, seconds=SECONDS, warm_up=WARM_UP), ROUNDS)
        for name, load in loads.items()
    }
    found = against_reached(speed_ups(comparisons))
    for each in found:
        verdict = "kept" if each.is_kept else "LOST"
        print(
            f"{each.name:14}{each.now:6.1f} times less CPU than plain python-socketio; "
            f"at least {each.reached * KEPT_SHARE:.1f} wanted: {verdict}"
        )
    kept = sum(each.is_kept for each in found)
    print(f"{kept} passed, {len(found) - kept} failed")
    return 0 if kept == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
