"""What one idle connection takes."""

import sys
from types import SimpleNamespace
from typing import Any

from socketio_app.adapters.engineio.session import EngineSession

MAX_ATTRIBUTES_BYTES = 400


def test_connections_share_the_names_of_their_attributes() -> None:
    """CPython keeps up to 30 names once for all instances; beyond, each has a table of its own."""
    server: Any = SimpleNamespace(create_queue=lambda: None)

    connections = [EngineSession(server, str(number)) for number in range(3)]

    assert max(sys.getsizeof(vars(each)) for each in connections) <= MAX_ATTRIBUTES_BYTES
