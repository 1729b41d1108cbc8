"""The wire contract and the public API are listed, and change only with a changelog entry."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

import socketio_app
from socketio_app.adapters.wire.registry import COMMANDS
from tests.snapshots.public_api import public_api
from tests.snapshots.shapes import field_lines
from tests.snapshots.versions import (
    CHANGELOG,
    ROOT,
    SNAPSHOTS,
    Snapshot,
    checksum,
    problems,
    updated,
)
from tests.snapshots.wire import command_lines, commands, errors, events, wire_contract


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda snapshot: snapshot.title)
def test_contract_is_the_listed_one_and_its_version_is_in_the_changelog(snapshot: Snapshot) -> None:
    assert problems(snapshot, snapshot.path.read_text(), CHANGELOG.read_text()) == []


def test_page_of_the_wire_contract_has_its_version() -> None:
    snapshot = SNAPSHOTS[0]
    major, _ = snapshot.version(snapshot.path.read_text())
    page = (ROOT / "docs" / "wire.md").read_text()

    assert page.startswith(f"# The wire contract, version {major}\n")


@pytest.mark.parametrize("name", [*commands(), *events(), *errors()])
def test_page_of_the_wire_contract_names_every_command_event_and_error(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "wire.md").read_text()


def api(*lines: str) -> Snapshot:
    """A snapshot whose code is `lines`."""
    return Snapshot("API", Path("api.txt"), lambda: lines)


BEFORE, NOW = api("def send(text)"), api("def send(text, to)")


def changelog(*entries: str, released: Sequence[str] = ()) -> str:
    return "\n".join(["# Changelog", "", "## Unreleased", *entries, "", "## 0.1", *released, ""])


def entry(snapshot: Snapshot, version: tuple[int, int]) -> str:
    text = snapshot.text(version)
    return f"- API {version[0]}.{version[1]} (`{checksum(text)}`): said in words."


def test_change_of_the_code_alone_is_a_problem() -> None:
    log = changelog(entry(BEFORE, (1, 0)))

    assert problems(BEFORE, BEFORE.text((1, 0)), log) == []
    assert problems(NOW, BEFORE.text((1, 0)), log) == [
        "api.txt differs from the code: run `make snapshots`"
    ]


@pytest.mark.parametrize(
    "log",
    [
        changelog(),
        changelog(entry(BEFORE, (1, 0))),
        changelog(entry(BEFORE, (1, 1))),
        changelog(entry(NOW, (1, 2)), entry(NOW, (1, 1))),
        changelog(entry(NOW, (1, 1)).removesuffix("said in words.")),
    ],
    ids=["no entry", "older entry", "other checksum", "newer entry", "no words"],
)
def test_change_without_its_entry_in_the_changelog_is_a_problem(log: str) -> None:
    found = problems(NOW, NOW.text((1, 1)), log)

    assert len(found) == 1
    assert "the changelog's newest entry should be: - API 1.1 (`" in found[0]


def test_entries_out_of_order_are_a_problem() -> None:
    log = changelog(entry(NOW, (1, 1)), released=[entry(BEFORE, (1, 1))])

    assert "not in order" in problems(NOW, NOW.text((1, 1)), log)[0]


def test_change_of_an_unreleased_version_keeps_its_number() -> None:
    log = changelog(entry(BEFORE, (1, 3)))

    assert updated(NOW, BEFORE.text((1, 3)), log) == NOW.text((1, 3))


def test_change_of_a_released_version_has_the_next_number() -> None:
    log = changelog(released=[entry(BEFORE, (1, 3))])

    assert updated(NOW, BEFORE.text((1, 3)), log) == NOW.text((1, 4))
    assert updated(BEFORE, BEFORE.text((1, 3)), log) == BEFORE.text((1, 3))


class WithSubject(msgspec.Struct):
    room_id: str
    subject: str | None = None


def test_payload_field_of_a_command_is_listed() -> None:
    row = COMMANDS["join_room"]

    changed = command_lines(attrs.evolve(row, payload=WithSubject))

    assert set(changed) - set(command_lines(row)) == {
        "payload subject?: string of 0 or more characters or null"
    }


def test_result_field_of_a_command_is_listed() -> None:
    row = COMMANDS["leave_room"]

    changed = command_lines(attrs.evolve(row, answer=lambda *_: {"left": True, "count": 1}))

    assert set(changed) - set(command_lines(row)) == {"result count: integer"}


@pytest.mark.parametrize(
    "line",
    [
        "rate: send",
        "payload room_id: string of 1 to 128 characters of A-Z a-z 0-9 - . : @ _",
        "payload limit?: integer from 1 to 200 or null",
        "payload needs since or epoch and positions",
        "payload excludes before_seq with after_seq",
        "payload positions?: list of 0 to 1000 objects or null",
        "payload positions[].target needs to_user_id or room_id",
        "result message: message",
        'reason: "left"',
        "retry_after_ms?: integer",
    ],
)
def test_contract_lists_bounds_and_rates(line: str) -> None:
    assert "    " + line in wire_contract()


def test_field_that_not_every_object_has_is_marked() -> None:
    objects: list[dict[str, Any]] = [{"a": 1, "b": {"c": None}}, {"a": "x", "b": {"c": [True]}}]

    assert field_lines([*objects, {"a": 1}]) == [
        "a: integer or string",
        "b?: object",
        "b.c: null or list of booleans",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "class NotAMember(ChatError)",
        "    connection_id: ConnectionId | None = None",
        "    async def leave(self, user_id: AnyUserId, room_id: str) -> RoomLeft",
        "    @property def connection_count(self) -> int",
        "    retry_after_ms",
        "    websocket_path: str = ''",
        "def get_chat(connection: HTTPConnection) -> Chat",
        "    duplicate: bool",
    ],
)
def test_public_api_lists_members_and_signatures(line: str) -> None:
    assert line in public_api()


def test_name_that_is_no_longer_exported_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socketio_app, "__all__", ["Chat", "Room"])

    classes = [line for line in public_api() if line.startswith("class ")]

    assert classes[:2] == ["class Chat(ChatMethods)", "class Room"]
    assert "class Person" not in classes
