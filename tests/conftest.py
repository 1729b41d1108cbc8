"""Configuration for all tests: the event loop, Hypothesis, the database server."""

import os
from typing import Any

import pytest
from hypothesis import settings

from socketio_app.adapters import compatibility
from tests.databases import server_url, stop_servers, use_server

SERVER = "database_server_url"

UNTESTED = compatibility.untested(*compatibility.NEWEST_TESTED)
# This run tests the untested versions, so the takeover must be used with them as well.
compatibility.NEWEST_TESTED = dict.fromkeys(compatibility.NEWEST_TESTED, (10**9,))

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the URL of the shared server to each worker of pytest-xdist."""
    node.workerinput[SERVER] = server_url()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return more workers than processors, because most tests mostly wait."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        use_server(worker_input[SERVER])


def pytest_unconfigure() -> None:
    stop_servers()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for each in UNTESTED:
        terminalreporter.section(
            f"{each}: raise NEWEST_TESTED if all tests pass", sep="!", red=True
        )
