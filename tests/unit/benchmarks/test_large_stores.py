"""The section about large stores, and the content of the stores."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.large_stores.__main__ import on_sqlite
from benchmarks.large_stores.commands import Figures
from benchmarks.large_stores.filling import ADA, COLUMNS, Size
from benchmarks.report.large_stores import NOT_MEASURED, section, section_of, with_section
from benchmarks.report.page import page
from tests.unit.benchmarks.results import results

FOUND = {
    "SQLite, 1,000": {"join_room": Figures(0.5, 0.25)},
    "PostgreSQL, 1,000": {"join_room": Figures(2, 1)},
}


def test_section_has_each_command_on_each_store() -> None:
    text = section(FOUND, 1_000_000)

    assert "| ms | SQLite, 1,000 | PostgreSQL, 1,000 |" in text
    assert "| join_room | 0.50 | 2.00 |" in text
    assert "| join_room | 0.25 | 1.00 |" in text


def test_section_is_kept_by_other_benchmarks() -> None:
    first = page(results())
    assert section_of(first) == NOT_MEASURED
    create_metrics_route = with_section(first, "| new |")

    assert section_of(page(results(), section_of(create_metrics_route))) == "| new |"


def test_page_without_section_is_rejected() -> None:
    with pytest.raises(ValueError, match="large stores"):
        with_section("# Benchmarks", "| new |")


def test_documented_page_has_section() -> None:
    docs = Path(__file__).parents[3] / "docs/benchmarks.md"

    assert "list_conversations, 50" in section_of(docs.read_text())


def test_store_is_filled_consistently() -> None:
    size = Size(conversations=30, messages=90)

    messages = list(size.rows("chat_message"))

    activities = [int(str(row[-1])) for row in messages]
    assert activities == sorted(activities)
    assert activities[-1] == size.last_activity
    newest = {row[0]: row[-1] for row in messages}
    assert {row[0]: row[-2] for row in size.rows("chat_conversation")} == newest
    assert Counter(row[1] for row in size.rows("chat_member"))[ADA.encode()] == size.rooms == 3
    for table, columns in COLUMNS.items():
        assert {len(row) for row in size.rows(table)} == {len(columns)}


@pytest.mark.anyio
async def test_every_command_runs_on_a_filled_store() -> None:
    figures = await on_sqlite(Size(conversations=40, messages=400), 3)

    assert len(figures) == 11
    assert all(each.ms > 0 for each in figures.values())
