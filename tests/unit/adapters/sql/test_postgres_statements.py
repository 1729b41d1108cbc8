"""Shared statements, compiled once for PostgreSQL."""

from typing import Any

from sqlalchemy import Select

from socketio_app.adapters.sql import conversation_statements, statements
from socketio_app.adapters.sql.postgres.statements import Statement


class Pages:
    """Builds the statement for pages, and counts the calls."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self, conversation_id: int, limit: int, before: Any, after: Any) -> Select[Any]:
        self.built += 1
        return statements.page(conversation_id, limit, before, after)


def test_statement_is_built_once_for_each_combination_of_omitted_arguments() -> None:
    pages = Pages()
    statement = Statement(pages)

    for number in range(1, 50):
        statement.text(number, 10, None, None)
        statement.text(number, 10, number, None)
        statement.text(number, 10, None, number)

    assert pages.built == 3


def test_arguments_are_bound_in_the_order_of_the_parameters() -> None:
    statement = Statement(statements.page)

    sql, values = statement.text(7, 11, 5, None)
    _, later_values = statement.text(8, 12, 6, None)

    assert list(values) == [7, 5, 11]
    assert list(later_values) == [8, 6, 12]
    assert sql.index("$1") < sql.index("$2") < sql.index("$3")


def test_constants_of_a_statement_keep_their_values() -> None:
    _, values = Statement(conversation_statements.states).text(b"ada", 500, None)

    assert set(values) == {b"ada", 500, 0}
