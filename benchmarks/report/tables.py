"""Markdown tables, and the format of numbers in them."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is words and whose others are numbers.

    Raises:
        ValueError: a row is not as long as the head.
    """
    if any(len(row) != len(head) for row in rows):
        raise ValueError("a row is not as long as the head")
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def number(value: float) -> str:
    """Return a number with three digits, or all digits before the point, in groups of thousands."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def times(ratio: float) -> str:
    """Return a number as a multiple."""
    return f"{number(ratio)} ×"
