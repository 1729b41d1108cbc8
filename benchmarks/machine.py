"""The machine that benchmarks ran on."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import attrs
import psutil

from benchmarks.servers import HERE, bun_version

PACKAGES = ("python-socketio", "python-engineio", "uvicorn", "uvloop", "websockets")


@attrs.frozen
class Machine:
    """A machine, and the versions of the software on it."""

    processor: str
    processors: int
    memory_gib: int
    system: str
    versions: dict[str, str]


def this_machine() -> Machine:
    """Return the current machine."""
    node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)  # noqa: S607  (whichever Node the path has)
    return Machine(
        processor=_processor(),
        processors=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        versions={
            "Python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
            "Node": node.stdout.strip().removeprefix("v"),
            "socket.io": _npm_version("node", "socket.io"),
            **_bun(),
        },
    )


def _bun() -> dict[str, str]:
    bun, engine = bun_version(), "@socket.io/bun-engine"
    if bun is None:
        return {}
    return {"Bun": bun, engine: _npm_version("bun", engine)}


def _npm_version(peer: str, package: str) -> str:
    described = HERE / "peers" / peer / "node_modules" / package / "package.json"
    return str(json.loads(described.read_text())["version"])


def _processor() -> str:
    """Return the processor's name on Linux, and its architecture elsewhere."""
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
