"""The files that the documentation names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
PATH = re.compile(r"`((?:[\w.-]+/)+(?:[\w.-]+\.(?:py|md|toml|txt|conf|service|json))?)`")
PLACES = [ROOT, ROOT / "socketio_app", ROOT / "socketio_app" / "adapters"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_a_page_exist(page: Path) -> None:
    missing = [
        path
        for path in PATH.findall(page.read_text())
        if not any((place / path).exists() for place in PLACES)
    ]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_architecture_describes_every_adapter_package() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text()
    adapters = ROOT / "socketio_app" / "adapters"
    packages = {each.name for each in adapters.iterdir() if (each / "__init__.py").exists()}

    assert all(f"`{package}/`" in table for package in packages)
