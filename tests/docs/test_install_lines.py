"""The extras in install commands exist, with the spelling that their packages declare."""

import re
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXTRAS = re.compile(r"pip install [\"']?([A-Za-z0-9_.-]+)\[([^\]]+)\]")


def extras() -> list[tuple[str, str]]:
    """Return the extras in the documentation's `pip install` commands, with their packages."""
    found = [
        (package, extra.strip())
        for page in PAGES
        for package, named in EXTRAS.findall(page.read_text())
        for extra in named.split(",")
    ]
    return sorted(set(found))


def test_pages_name_an_extra() -> None:
    assert ("python-socketio", "asyncio-client") in extras()


@pytest.mark.parametrize(("package", "extra"), extras())
def test_extra_is_written_as_the_package_declares_it(package: str, extra: str) -> None:
    """The pip that comes with Python 3.11 ignores any other spelling, and installs nothing."""
    declared = metadata(package).get_all("Provides-Extra") or []

    assert extra in declared
