"""The recorded lead must be kept."""

from pathlib import Path

import pytest

from benchmarks.reached import SpeedUp, against_reached, record, speed_ups
from tests.unit.benchmarks.results import results


def test_half_of_what_was_reached_is_kept_and_less_is_not() -> None:
    assert SpeedUp("fanout", now=5.0, reached=10.0).is_kept
    assert not SpeedUp("fanout", now=4.9, reached=10.0).is_kept


def test_a_speed_up_is_how_many_times_the_cpu_plain_uses() -> None:
    names = ("fanout", "fanout_alone", "direct", "connecting")

    assert speed_ups(results().against_all) == dict.fromkeys(names, 8.0)


def test_what_was_recorded_is_compared_with(tmp_path: Path) -> None:
    file = tmp_path / "reached.toml"
    record({"fanout": 12.34, "direct": 5.0}, file)

    assert against_reached({"fanout": 6.0}, file) == [SpeedUp("fanout", 6.0, 12.3)]


def test_what_was_never_reached_cannot_be_kept(tmp_path: Path) -> None:
    file = tmp_path / "reached.toml"
    record({"fanout": 12.34}, file)

    with pytest.raises(KeyError):
        against_reached({"direct": 5.0}, file)


def test_the_projects_file_has_everything_that_is_checked() -> None:
    now = speed_ups(results().against_all)

    assert [each.name for each in against_reached(now)] == list(now)
