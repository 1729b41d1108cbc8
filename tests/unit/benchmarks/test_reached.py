"""The recorded lead must be kept."""

from pathlib import Path

import pytest

from benchmarks.reached import SpeedUp, against_reached, record, speed_ups
from tests.unit.benchmarks.results import results


def test_half_of_recorded_lead_is_sufficient() -> None:
    assert SpeedUp("fanout", now=5.0, reached=10.0).is_kept
    assert not SpeedUp("fanout", now=4.9, reached=10.0).is_kept


def test_lead_is_ratio_of_cpu_to_plain() -> None:
    names = ("fanout", "fanout_alone", "direct", "connecting")

    assert speed_ups(results().against_all) == dict.fromkeys(names, 8.0)


def test_lead_is_compared_with_recorded_one(tmp_path: Path) -> None:
    file = tmp_path / "reached.toml"
    record({"fanout": 12.34, "direct": 5.0}, file)

    assert against_reached({"fanout": 6.0}, file) == [SpeedUp("fanout", 6.0, 12.3)]


def test_missing_record_is_error(tmp_path: Path) -> None:
    file = tmp_path / "reached.toml"
    record({"fanout": 12.34}, file)

    with pytest.raises(KeyError):
        against_reached({"direct": 5.0}, file)


def test_recorded_file_has_all_checked_leads() -> None:
    now = speed_ups(results().against_all)

    assert [each.name for each in against_reached(now)] == list(now)
