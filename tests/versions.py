"""Run the tests that involve dependencies with other versions of these, or of Python.

Usage: python -m tests.versions lowest|newest|PYTHON_VERSION ...

`lowest` uses the lowest allowed version of each direct dependency, `newest` the newest version in
the index, and a Python version (3.13) the locked versions. The environments are in `.venvs/`.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).parent / "uv"
LOCKS = ["requirements/bootstrap.txt", "requirements/dev.txt"]

WITHOUT = [
    "tests/docs",
    "tests/properties",
    "tests/unit/benchmarks",
    "tests/e2e/test_benchmarks.py",
    "tests/e2e/test_crashes.py",
    "tests/e2e/test_paths.py",
    "tests/e2e/test_slow_readers.py",
    "tests/e2e/test_wire_fuzz.py",
    "tests/hosts/test_misconfiguration.py",
]
"""Slow tests that use the same parts of dependencies as the others."""

DOWNLOAD_TIMEOUT_SECONDS = 60


def uv(*arguments: str | Path) -> None:
    subprocess.run([UV, *arguments], cwd=ROOT, check=True)


def make_environment(name: str, interpreter: str) -> Path:
    """Create an empty virtual environment; return its interpreter."""
    directory = ROOT / ".venvs" / name
    uv("venv", "--quiet", "--clear", "--python", interpreter, directory)
    return directory / "bin" / "python"


def install_locked(python: Path) -> None:
    locks = [argument for lock in LOCKS for argument in ("-r", lock)]
    uv("pip", "install", "--quiet", "--python", python, "--require-hashes", *locks)


def install_resolved(python: Path, resolution: str) -> None:
    """Install the direct dependencies with a `resolution` of uv, and the newest tools."""
    constraints = python.parent / "constraints.txt"
    compiling = ["pip", "compile", "--quiet", "--no-header", "--resolution", resolution]
    uv(*compiling, "--python", python, "--all-extras", "pyproject.toml", "-o", constraints)
    tools: list[str | Path] = ["--group", "dev", "-r", "requirements/build.in"]
    project: list[str | Path] = ["-r", "pyproject.toml", "--all-extras", "-c", constraints]
    uv("pip", "install", "--quiet", "--python", python, *project, *tools)


WITHOUT_ON_OTHER_PYTHONS = ["tests/hosts"]
"""Tests that only depend on the versions of packages."""


def run_tests(python: Path, without: Sequence[str] = WITHOUT) -> bool:
    """Install the project, run the tests but those `without`, and return whether they passed.

    Tests that fail are run once more: what does not work with a version fails again, and a test
    that was disturbed by a loaded machine does not. `make test` forgives nothing.
    """
    uv("pip", "install", "-q", "--python", python, "--no-deps", "--no-build-isolation", "-e", ".")
    # Processes that tests start are found on the path.
    environment = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    command: list[str | Path] = [python, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
    command += ["-o", f"cache_dir={python.parent.parent / 'pytest-cache'}"]
    command += [f"--ignore={each}" for each in without]
    for more in ([], ["--last-failed", "--last-failed-no-failures", "none"]):
        done = subprocess.run([*command, *more], cwd=ROOT, env=environment, check=False)
        if done.returncode == 0:
            return True
        print("*** tests failed ***", flush=True)
    return False


def interpreter(wanted: str) -> str | None:
    """Return an interpreter of a version of Python: installed, from pyenv, or installed by uv."""
    candidates = [shutil.which(f"python{wanted}")]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True)
        versions = Path(root.stdout.strip()) / "versions"
        candidates += map(str, sorted(versions.glob(f"{wanted}.*/bin/python"), reverse=True))
    for candidate in candidates:
        if candidate is not None and is_version(candidate, wanted):
            return candidate
    with contextlib.suppress(subprocess.SubprocessError):
        subprocess.run(
            [UV, "python", "install", "--quiet", wanted],
            timeout=DOWNLOAD_TIMEOUT_SECONDS,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return wanted
    return None


def is_version(candidate: str, wanted: str) -> bool:
    """Return whether an interpreter has a version, and runs at all, unlike some pyenv shims."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([candidate, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.strip() == wanted


def run(wanted: str) -> bool:
    """Run the tests with one set of versions; return whether they passed."""
    print(f"=== tests with {wanted} ===", flush=True)
    if wanted in {"lowest", "newest"}:
        python = make_environment(wanted, sys.executable)
        install_resolved(python, {"lowest": "lowest-direct", "newest": "highest"}[wanted])
        return run_tests(python)
    found = interpreter(wanted)
    if found is None:
        print(f"*** Python {wanted} is not available: it is NOT TESTED ***", flush=True)
        return True
    python = make_environment(wanted, found)
    install_locked(python)
    return run_tests(python, [*WITHOUT, *WITHOUT_ON_OTHER_PYTHONS])


def main(wanted: Sequence[str]) -> int:
    failed = [each for each in wanted if not run(each)]
    for each in failed:
        print(f"=== FAILED with {each} ===", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
