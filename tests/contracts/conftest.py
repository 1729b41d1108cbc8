"""The stores that every contract is run against."""

import pytest

from socketio_app.adapters.memory import MemoryStore
from socketio_app.application.ports import Store

ROOMS_PER_USER = 3


def memory() -> Store:
    return MemoryStore(kept_messages=1000, conversations=1000, rooms_per_user=ROOMS_PER_USER)


@pytest.fixture(params=[memory])
def store(request: pytest.FixtureRequest) -> Store:
    made: Store = request.param()
    return made
