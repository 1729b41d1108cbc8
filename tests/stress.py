"""Run the whole suite several times next to busy loops; fail if a round fails.

Usage: python -m tests.stress [ROUNDS] [PYTEST_ARGUMENT ...]
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

BUSY_LOOPS = 2
BUSY_LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"


@contextmanager
def busy_loops() -> Iterator[None]:
    """Keep processors busy, so that everything takes longer than the tests may assume."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) for _ in range(BUSY_LOOPS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def run_suite(arguments: Sequence[str]) -> tuple[bool, str]:
    """Run the suite once; return whether it passed, and its output."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
    # Different random examples in each round, also in CI.
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode == 0, done.stdout + done.stderr


def main() -> int:
    rounds, arguments = int(sys.argv[1]) if sys.argv[1:] else 3, sys.argv[2:]
    failed = 0
    with busy_loops():
        for number in range(1, rounds + 1):
            start = time.monotonic()
            passed, output = run_suite(arguments)
            seconds = time.monotonic() - start
            last_line = (output.strip().splitlines() or ["no output"])[-1]
            outcome = "passed" if passed else "FAILED"
            print(
                f"round {number} of {rounds}: {outcome} ({seconds:.0f} s): {last_line}", flush=True
            )
            if not passed:
                failed += 1
                print(output, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
