"""Versioned snapshots, and their entries in the changelog.

A snapshot's first line has its title and version. The changelog has an entry for each version, with
a checksum of the snapshot, so that neither changes without the other.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from tests.snapshots.public_api import public_api
from tests.snapshots.wire import wire_contract

ROOT = Path(__file__).parents[2]
CHANGELOG = ROOT / "CHANGELOG.md"

NOTE = "Written by `make snapshots`. CONTRIBUTING.md says what to do when it changes."

Version = tuple[int, int]


@attrs.frozen
class Snapshot:
    """What others depend on, with the function that derives it from the code."""

    title: str
    path: Path
    derive: Callable[[], Sequence[str]]

    def text(self, version: Version) -> str:
        """Return the text that the file should have."""
        major, minor = version
        return "\n".join([f"{self.title} {major}.{minor}", "", NOTE, *self.derive()]) + "\n"

    def version(self, text: str) -> Version:
        """Return the version in the first line of a text."""
        found = re.match(rf"{self.title} (\d+)\.(\d+)\n", text)
        assert found is not None, f"{self.path.name} does not begin with '{self.title} 1.0'"
        return int(found[1]), int(found[2])

    def entries(self, changelog: str) -> list[tuple[Version, str]]:
        """Return the versions and checksums in a changelog, newest first."""
        entry = rf"^- {self.title} (\d+)\.(\d+) \(`([0-9a-f]{{12}})`\): \S"
        return [
            ((int(major), int(minor)), checksum)
            for major, minor, checksum in re.findall(entry, changelog, re.MULTILINE)
        ]


SNAPSHOTS = [
    Snapshot("Wire contract", ROOT / "docs/contracts/wire-contract.txt", wire_contract),
    Snapshot("Public API", ROOT / "docs/contracts/public-api.txt", public_api),
]


def checksum(text: str) -> str:
    """Return the checksum of a snapshot, without its version."""
    return hashlib.sha256(text.partition("\n")[2].encode()).hexdigest()[:12]


def problems(snapshot: Snapshot, text: str, changelog: str) -> list[str]:
    """Return what is wrong with a snapshot's text and its changelog."""
    version = snapshot.version(text)
    if text != snapshot.text(version):
        return [f"{snapshot.path.name} differs from the code: run `make snapshots`"]
    entries = snapshot.entries(changelog)
    versions = [found for found, _ in entries]
    if versions != sorted(set(versions), reverse=True):
        return [f"the changelog's entries of {snapshot.title} are not in order: {versions}"]
    if entries[:1] != [(version, checksum(text))]:
        return [f"the changelog's newest entry should be: {new_entry(snapshot, text)}"]
    return []


def new_entry(snapshot: Snapshot, text: str) -> str:
    """Return the beginning of the changelog's entry for a text."""
    major, minor = snapshot.version(text)
    return f"- {snapshot.title} {major}.{minor} (`{checksum(text)}`): what has changed."


def updated(snapshot: Snapshot, text: str, changelog: str) -> str:
    """Return the text for the code as it is, with the next version if this one is released."""
    version = snapshot.version(text)
    changed = snapshot.text(version)
    if changed == text:
        return text
    unreleased = changelog.partition("\n## Unreleased\n")[2].partition("\n## ")[0]
    if version in [found for found, _ in snapshot.entries(unreleased)]:
        return changed
    return snapshot.text((version[0], version[1] + 1))
