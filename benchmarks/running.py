"""Starting a server and a load on it, each on its own processor."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import attrs

from benchmarks.figures import Figures
from benchmarks.load.options import Load
from benchmarks.servers import HERE, SECRET, Server
from tests.ports import free_port

PATIENCE_SECONDS = 30


class MeasuringError(Exception):
    """The measurement is invalid; the message says why."""


@attrs.frozen
class Running:
    """A server that accepts connections."""

    port: int
    pid: int


def measure(server: Server, load: Load) -> Figures:
    """Start the server, put the load on it, and stop it.

    Raises:
        MeasuringError: the server did not start, or lost or rejected a client.
    """
    with running(server) as found, on_processor(1):
        options = [f"--port={found.port}", f"--pid={found.pid}"]
        arguments = attrs.evolve(load, transport=server.transport).as_arguments()
        command = [sys.executable, "-m", "benchmarks.load", *arguments, *options]
        timeout_seconds = PATIENCE_SECONDS * 4 + load.seconds + load.warm_up
        try:
            done = subprocess.run(
                command,
                env=_environment(),
                stdout=subprocess.PIPE,
                timeout=timeout_seconds,
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise MeasuringError(f"{load.scenario} on {server.name}: {error}") from None
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@contextlib.contextmanager
def running(server: Server) -> Iterator[Running]:
    """Run the server in an empty working directory; yield it when it listens.

    Raises:
        MeasuringError: it exited, or did not listen in time.
    """
    port = free_port()
    ports = {"PORT": str(port), "SOCKETIO_PORT": str(port)}
    if server.serves_metrics:
        ports["METRICS_PORT"] = str(port)
    with tempfile.TemporaryDirectory() as folder:
        with on_processor(0):
            process = subprocess.Popen(
                server.command,
                cwd=folder,
                env=_environment() | ports | dict(server.settings),
                stdout=subprocess.DEVNULL,
            )
        try:
            _wait_until_it_listens(server, process, port)
            yield Running(port, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def on_processor(number: int) -> Iterator[None]:
    """Reserve a processor for what is started within the context, if there are two or more.

    The server has the first and the load the second, so that neither waits for the other.
    """
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        yield
        return
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(all_of_them)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)


def _environment() -> dict[str, str]:
    """Return an environment without a developer's settings."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(HERE.parent),
        "NODE_ENV": "production",
        "SECRET_KEY": SECRET,
    }


def _wait_until_it_listens(server: Server, process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.02)
    raise MeasuringError(f"{server.name} does not listen; status {process.poll()}")
