"""Requirements of the tests that are not Python packages."""

from typing import Any

from tests.servers import pgbouncer_binary

NO_PGBOUNCER = "PgBouncer is not installed: the store behind PgBouncer is NOT TESTED"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if pgbouncer_binary() is None:
        terminalreporter.section(NO_PGBOUNCER, sep="!", red=True)
