"""The lead over plain python-socketio that CI requires."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import attrs

from benchmarks.compare import Comparison
from benchmarks.servers import HERE, OURS, PLAIN

FILE = HERE / "reached.toml"

KEPT_SHARE = 0.5
"""The required share of the recorded lead: half, because machines are noisy."""

HEAD = """\
# How many times the CPU of this chat plain python-socketio has used, side by side.
# Written by `make bench RECORD=yes`; `make bench-check` fails below half of it.

"""


@attrs.frozen
class SpeedUp:
    """The current lead of the chat in one scenario, and the recorded one."""

    name: str
    now: float
    reached: float

    @property
    def is_kept(self) -> bool:
        """Return whether the current lead is sufficient."""
        return self.now >= self.reached * KEPT_SHARE


def speed_ups(comparisons: Mapping[str, Comparison]) -> dict[str, float]:
    """How many times as much CPU plain python-socketio uses, for each thing that is held on to.

    Args:
        comparisons: `fanout`, `fanout_alone` and `direct`, as `suite.AGAINST_ALL` names them.
    """
    found = {
        name: comparisons[name].ratio(PLAIN, OURS, "cpu_us")
        for name in ("fanout", "fanout_alone", "direct")
    }
    found["connecting"] = comparisons["fanout"].ratio(PLAIN, OURS, "connect_cpu_us")
    return found


def against_reached(now: Mapping[str, float], file: Path = FILE) -> list[SpeedUp]:
    """What there is now beside what the file has.

    Raises:
        KeyError: the file does not have all of them.
    """
    reached = tomllib.loads(file.read_text())
    return [SpeedUp(name, value, reached[name]) for name, value in now.items()]


def record(now: Mapping[str, float], file: Path = FILE) -> None:
    """Record the current lead."""
    lines = [f"{name} = {value:.1f}\n" for name, value in now.items()]
    file.write_text(HEAD + "".join(lines))
