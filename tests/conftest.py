"""For all tests: the event loop's kind, and how long hypothesis may take."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.databases import stop_servers

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def end_of_servers() -> Iterator[None]:
    yield
    stop_servers()
