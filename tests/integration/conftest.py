"""What the tests need that the package registries do not provide."""

from typing import Any

from tests.servers import pgbouncer_binary

NO_PGBOUNCER = "PgBouncer is not installed, so the store behind PgBouncer is NOT TESTED"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if pgbouncer_binary() is None:
        terminalreporter.section(NO_PGBOUNCER, sep="!", red=True)
