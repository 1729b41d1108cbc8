"""The results page shows the results."""

import msgspec
import pytest

from benchmarks.aims import AIMS, Aim, Goal
from benchmarks.promises import PROMISES
from benchmarks.report.page import page, picture
from benchmarks.report.tables import number, table
from benchmarks.servers import BUN
from benchmarks.suite import AGAINST_ALL, EVERYBODY, Results
from tests.unit.benchmarks.results import comparison, results

PAGE = page(results())


def test_each_aim_has_its_row_with_the_medians_and_the_ratios() -> None:
    aim = AIMS[0]
    medians = "3.00 | 12.0 | 6.00 | 24.0 | 1.50"
    ratios = "**0.25 ×** | 0.08 × | 0.10 × | missed | 0.50 × | 8.00 ×"

    assert f"| {aim.title}, µs | {medians} | {ratios} |" in PAGE
    assert all(f"| {aim.title}, {aim.unit} |" in PAGE for aim in AIMS)


def test_every_aim_is_of_a_comparison_that_is_measured() -> None:
    assert {aim.comparison for aim in AIMS} == set(AGAINST_ALL)


@pytest.mark.parametrize(
    ("goal", "limit", "verdict"),
    [(0.25, 0.5, "reached"), (0.2, 0.25, "within the limit"), (0.1, 0.2, "missed")],
)
def test_aim_is_reached_up_to_goal_and_missed_beyond_limit(
    goal: float, limit: float, verdict: str
) -> None:
    aim = Aim("", "fanout", "cpu_us", "µs", goal, limit)

    assert aim.verdict(comparison(AGAINST_ALL["fanout"])) == verdict


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (Goal(45, 55), 45, "reached"),
        (Goal(45, 55), 55, "within the limit"),
        (Goal(45, 55), 56, "missed"),
        (Goal(17, 14), 17, "reached"),
        (Goal(17, 14), 14, "within the limit"),
        (Goal(17, 14), 13, "missed"),
    ],
)
def test_more_is_better_where_goal_is_above_limit(goal: Goal, value: float, verdict: str) -> None:
    assert goal.verdict(value) == verdict


def test_goals_with_database_have_their_rows() -> None:
    assert "| person to person on SQLite, CPU in µs | **6.00** | 45.0 | 55.0 | reached |" in PAGE
    assert "| person to person on PostgreSQL, CPU in µs | **9.00** | 45.0 |" in PAGE
    sqlite = "| 64 callers appending on SQLite, messages a second | **12,346** | 17,000 | 14,000"
    assert f"{sqlite} | missed |" in PAGE
    postgresql = "| 64 callers appending on PostgreSQL, messages a second | **27,000** | 30,000"
    assert f"{postgresql} | 24,000 | within the limit |" in PAGE


def test_each_promise_has_its_row_with_and_without() -> None:
    both = "3.00 | 7.50 | 2.50 ×"
    assert f"| tracing | {both} | {both} |" in PAGE
    both = "1.50 | 3.00 | 2.00 ×"
    assert f"| delivery confirmation | {both} | {both} |" in PAGE
    assert all(f"| {promise.title} | " in PAGE for promise in PROMISES)


def test_missing_figure_is_empty_cell() -> None:
    assert "| 10 | 3.00 | 12.0 | 6.00 | 24.0 | 1.50 |" in PAGE
    assert "| 5,000 | 3.00 |  |  |  |  |" in PAGE


def test_cells_of_bun_are_empty_where_it_is_not_installed() -> None:
    without = results([server for server in EVERYBODY if server is not BUN])

    text = page(without)

    aim = AIMS[0]
    medians = "3.00 | 12.0 |  | 24.0 | 1.50"
    ratios = "**0.25 ×** | 0.08 × | 0.10 × | missed |  | 8.00 ×"
    assert f"| {aim.title}, µs | {medians} | {ratios} |" in text
    assert "| 10 | 3.00 | 12.0 |  | 24.0 | 1.50 |" in text
    assert "\n| Bun | " not in text
    assert ">Bun<" in picture(results())
    assert ">Bun<" not in picture(without)


def test_every_other_result_is_on_the_page() -> None:
    assert "| room of 200, 16 messages in flight: CPU in µs | 3.00 | 6.00 | 9.00 |" in PAGE
    assert "| this chat | 4.50 | 9.00 | 3.00 × | 10,500 |" in PAGE
    assert "| Bun | 9.00 | 18.0 | 6.00 × | 21,000 |" in PAGE
    assert "10,000 connections were held for 60 seconds: none was lost, at 2.25% of" in PAGE
    assert "| 64 callers | 12,346 | 31.4 | 3.98 | 16.1 |" in PAGE
    assert "2 January 2030" in PAGE
    assert "- A processor, 2 cores, 16 GiB\n- Linux 9\n- Python 3.99\n" in PAGE


def test_results_are_the_same_after_they_were_kept_in_a_file() -> None:
    kept = msgspec.json.decode(msgspec.json.encode(results()), type=Results)

    assert (page(kept), picture(kept)) == (PAGE, picture(results()))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.00"), (1.234, "1.23"), (9.996, "10.0"), (99.96, "100"), (12345.6, "12,346")],
)
def test_number_has_three_digits_or_grouped_thousands(value: float, shown: str) -> None:
    assert number(value) == shown


def test_numbers_in_tables_are_right_aligned() -> None:
    assert table(["", "µs"], [["here", "1"]]) == "|  | µs |\n| --- | ---: |\n| here | 1 |"


def test_rows_of_table_must_have_same_length() -> None:
    with pytest.raises(ValueError, match="not as long"):
        table(["", "µs"], [["here"]])
