"""Bun is left out where it is not installed."""

from pathlib import Path

import pytest

from benchmarks import servers
from benchmarks.servers import BUN, NODE, OURS, available, bun_version


def program(folder: Path, text: str) -> Path:
    """Create an executable file."""
    path = folder / "bun"
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_bun_is_measured_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(servers, "BUN_PROGRAM", program(tmp_path, "#!/bin/sh\necho 9.8.7\n"))

    assert bun_version() == "9.8.7"
    assert available([OURS, BUN, NODE]) == [OURS, BUN, NODE]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "not a program of this platform"])
def test_bun_that_does_not_run_is_skipped_with_message(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(servers, "BUN_PROGRAM", program(tmp_path, text))

    assert available([OURS, BUN, NODE]) == [OURS, NODE]
    assert "*** Bun is SKIPPED: " in capsys.readouterr().err


def test_bun_that_is_not_installed_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "BUN_PROGRAM", tmp_path / "bun")

    assert available([BUN, OURS]) == [OURS]


def test_nothing_is_said_where_bun_is_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(servers, "BUN_PROGRAM", tmp_path / "bun")

    assert available([OURS, NODE]) == [OURS, NODE]
    assert capsys.readouterr().err == ""
