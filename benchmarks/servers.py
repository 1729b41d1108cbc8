"""The measured servers: the command that starts each, and its settings."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
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
    serves_metrics: bool = False
    """Whether it collects metrics, and serves them on its own port."""


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
BUN_PROGRAM = HERE / "peers/bun/node_modules/.bin/bun"
BUN = Server("Bun", (str(BUN_PROGRAM), str(HERE / "peers/bun/chat.js")))
FLOOR = Server("floor", (sys.executable, "-m", "benchmarks.peers.floor"))

SERVERS = {
    "ours": OURS,
    "json": OVER_JSON,
    "plain": PLAIN,
    "node": NODE,
    "bun": BUN,
    "floor": FLOOR,
}


def available(servers: Sequence[Server]) -> Sequence[Server]:
    """Return the servers without Bun, and say so on stderr, if Bun is not installed.

    There is no Bun for some platforms; the other servers are measured there.
    """
    if BUN not in servers or bun_version() is not None:
        return servers
    print(
        f"*** Bun is SKIPPED: {BUN_PROGRAM} does not run on this machine. Its column stays empty; "
        "everything else is measured. ***",
        file=sys.stderr,
        flush=True,
    )
    return [server for server in servers if server is not BUN]


def bun_version() -> str | None:
    """Return the version of the installed Bun; `None` if there is none that runs."""
    try:
        done = subprocess.run(
            [BUN_PROGRAM, "--version"], check=True, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
