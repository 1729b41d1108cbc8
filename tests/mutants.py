"""Mutation testing: check that the tests detect small changes of the domain and the application.

Usage: python -m tests.mutants [MUTMUT_ARGUMENT ...], for instance "socketio_app.domain.rates*"

Fails if a mutant survives that is not in `explained_mutants.txt`. A paragraph of that file starts
with a reason, after `#`, followed by the mutants that it explains, in the format of the output.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.versions import ROOT, install_locked, make_environment, uv

EXPLAINED = Path(__file__).parent / "explained_mutants.txt"
WORK = ROOT / ".venvs" / "mutants" / "work"
COPIED = ["socketio_app", "tests", "pyproject.toml"]


def mutmut(*arguments: str) -> str:
    """Run mutmut in the copy; return its output."""
    command: list[str | Path] = [ROOT / ".venvs" / "mutants" / "bin" / "mutmut", *arguments]
    done = subprocess.run(command, cwd=WORK, capture_output=True, text=True, check=True)
    return done.stdout


def prepare() -> None:
    """Copy the project: mutmut imports the changed copy, not the installed package."""
    python = make_environment("mutants", sys.executable)
    install_locked(python)
    uv("pip", "install", "-q", "--python", python, "-r", "requirements/mutants.txt")
    WORK.mkdir()
    ignored = shutil.ignore_patterns("node_modules", "__pycache__")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, WORK / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, WORK / name)


def run(arguments: Sequence[str]) -> None:
    command: list[str | Path] = [ROOT / ".venvs" / "mutants" / "bin" / "mutmut", "run", *arguments]
    # Deterministic examples in property tests.
    subprocess.run(command, cwd=WORK, env={**os.environ, "CI": "true"}, check=True)


def survivors() -> Iterator[str]:
    """Yield the surviving mutants as `module.function: before => after`."""
    for line in mutmut("results").splitlines():
        name, _, verdict = line.strip().partition(": ")
        if verdict in {"survived", "no tests"}:
            module, _, mangled = name.partition("__mutmut_")[0].rpartition(".")
            function = mangled.replace("xǁ", "").replace("ǁ", ".").removeprefix("x_")
            # After the line with the location.
            changed = mutmut("show", name).partition("\n@@")[2].splitlines()[1:]
            before, after = [
                " ".join(each[1:].strip() for each in changed if each.startswith(sign))
                for sign in "-+"
            ]
            yield f"{module}.{function}: {before} => {after}"


def main(arguments: Sequence[str]) -> int:
    prepare()
    run(arguments)
    explained = {*EXPLAINED.read_text().splitlines()}
    unexplained = [each for each in survivors() if each not in explained]
    print(*unexplained, f"{len(unexplained)} unexplained mutants survived", sep="\n")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
