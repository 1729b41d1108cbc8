"""Change the rules in small ways, one at a time, and see that a test notices each.

Usage: python -m tests.mutants [MUTMUT_ARGUMENT ...], for instance "socketio_app.domain.rates*"

Fails where a change goes unnoticed that `explained_mutants.txt` does not have. There a paragraph
begins with the reason, behind `#`, and lists the changes that it explains, as they are printed.
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
    """Run mutmut where the copy is; return what it printed."""
    command: list[str | Path] = [ROOT / ".venvs" / "mutants" / "bin" / "mutmut", *arguments]
    done = subprocess.run(command, cwd=WORK, capture_output=True, text=True, check=True)
    return done.stdout


def prepare() -> None:
    """Copy the project: mutmut imports it from where it is changed, and not as it is installed."""
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
    # The same examples of property tests each time.
    subprocess.run(command, cwd=WORK, env={**os.environ, "CI": "true"}, check=True)


def survivors() -> Iterator[str]:
    """Yield what was changed unnoticed: `module.function: before => after`."""
    for line in mutmut("results").splitlines():
        name, _, verdict = line.strip().partition(": ")
        if verdict in {"survived", "no tests"}:
            module, _, mangled = name.partition("__mutmut_")[0].rpartition(".")
            function = mangled.replace("xǁ", "").replace("ǁ", ".").removeprefix("x_")
            # Behind the line that names the place.
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
    print(*unexplained, f"{len(unexplained)} changes went unnoticed", sep="\n")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
