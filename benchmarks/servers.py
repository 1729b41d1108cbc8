"""The measured servers: the command that starts each, and its settings."""

import sys
from collections.abc import Mapping
from pathlib import Path

import attrs

HERE = Path(__file__).parent

SECRET = "the-benchmarks-key-which-guards-nothing"  # noqa: S105  (of servers that live for seconds)


@attrs.frozen
class Server:
    """A server that reads its port from PORT and the tokens' key from SECRET_KEY."""

    name: str
    command: tuple[str, ...]
    settings: Mapping[str, str] = attrs.field(factory=dict)
    transport: str = "socketio"
    """The transport that clients use."""


def ours(name: str = "socketio-app", database_url: str = "memory://") -> Server:
    """The chat served by `socketio-app serve`, with no more logging than the others."""
    settings = {"DATABASE_URL": database_url, "RATE_LIMITS": "off", "LOG_LEVEL": "warning"}
    return Server(name, (sys.executable, "-m", "socketio_app.server"), settings)


OURS = ours()
OVER_JSON = attrs.evolve(
    OURS,
    name="socketio-app, plain WebSocket",
    settings={**OURS.settings, "WEBSOCKET_PATH": "/ws"},
    transport="json",
)
PLAIN = Server("plain python-socketio", (sys.executable, "-m", "benchmarks.peers.plain"))
NODE = Server("Node", ("node", str(HERE / "peers/node/chat.js")))
FLOOR = Server("floor", (sys.executable, "-m", "benchmarks.peers.floor"))

SERVERS = {"ours": OURS, "json": OVER_JSON, "plain": PLAIN, "node": NODE, "floor": FLOOR}
