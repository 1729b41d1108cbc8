"""The server as a process, as operators run it."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import attrs
import pytest

from tests.e2e.clients import PythonClient, until
from tests.ports import free_port as free_port
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

PATIENCE_SECONDS = 60
SERVE = [sys.executable, "-m", "socketio_app.server"]


@attrs.define
class Served:
    """A server process that accepts requests."""

    url: str
    process: asyncio.subprocess.Process
    output: list[str]

    async def end(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit status, and what was written to stderr."""
        self.process.send_signal(by)
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()


async def wait_until_there(url: str, process: asyncio.subprocess.Process) -> None:
    """Wait until the server is healthy; fail if it exits first."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_SECONDS):
        while process.returncode is None:
            try:
                async with http.get(f"{url}/healthz") as answer:
                    assert await answer.json() == {"status": "ok"}
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)
    raise AssertionError((await process.communicate())[1].decode())


@asynccontextmanager
async def served(tmp_path: Path, *arguments: str, **environment: str) -> AsyncIterator[Served]:
    environment = {"SOCKETIO_PORT": str(free_port()), **environment}
    port = environment["SOCKETIO_PORT"] or str(int(environment["PORT"]) + 1)
    process = await asyncio.create_subprocess_exec(
        *SERVE,
        *arguments,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    server = Served(f"http://127.0.0.1:{port}", process, [])
    try:
        await wait_until_there(server.url, process)
        yield server
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_server_shuts_down_cleanly_with_connected_clients(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, SECRET_KEY=SECRET) as server:
        clients = [
            await PythonClient().open(server.url, transport, {"auth": {"token": token("ada")}})
            for transport in ("polling", "websocket")
        ]
        for client in clients:
            await until(client, "connected")

        status, errors = await server.end()

        for client in clients:
            await until(client, ":disconnect")
            await client.close()
        assert status == -signal.SIGTERM
        lines = [json.loads(line) for line in errors.splitlines()]
        events = [line["event"] for line in lines]
        assert [each for each in events if each in {"serving", "shutting down", "stopped"}] == [
            "serving",
            "shutting down",
            "stopped",
        ]
        assert lines[events.index("serving")]["address"] == server.url
        assert lines[events.index("shutting down")]["connections"] == len(clients)
        assert [each["reason"] for each in lines if each["event"] == "disconnected"] == [
            "server_restart",
            "server_restart",
        ]


async def test_ctrl_c_ends_server_without_traceback(tmp_path: Path) -> None:
    async with served(tmp_path, SECRET_KEY=SECRET) as server:
        status, errors = await server.end(signal.SIGINT)

        assert status == 0
        assert "Traceback" not in errors


async def test_default_port_follows_api_port(tmp_path: Path) -> None:
    port = free_port()

    async with served(tmp_path, SECRET_KEY=SECRET, PORT=str(port - 1), SOCKETIO_PORT="") as server:
        del server


async def test_port_in_use_is_a_one_line_error_before_any_token_is_printed(
    tmp_path: Path,
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        process = await asyncio.create_subprocess_exec(
            *SERVE,
            "--dev",
            "--port",
            port,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{tmp_path}/chat.db"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, errors = await process.communicate()

    assert process.returncode == 2
    place = f"SOCKETIO_PORT {port} of HOST 127.0.0.1"
    assert errors.decode() == f"socketio-app: cannot bind {place}: Address already in use\n"
    assert b"A token for" not in printed
    assert not (tmp_path / "chat.db").exists()


async def test_every_address_of_the_host_is_served(tmp_path: Path) -> None:
    async with served(tmp_path, SECRET_KEY=SECRET, HOST="localhost") as server:
        port = server.url.rpartition(":")[2]
        places = await asyncio.get_running_loop().getaddrinfo("localhost", port, proto=6)

        for *_, (address, *_) in places:
            _, writer = await asyncio.open_connection(str(address), port)
            writer.close()


async def test_host_without_an_address_is_a_one_line_error(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *SERVE,
        "--host",
        "no-such-host.invalid",
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "SECRET_KEY": SECRET},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()

    last = errors.decode().splitlines()[-1]
    assert process.returncode == 2
    assert last.startswith(
        "socketio-app: cannot bind SOCKETIO_PORT 8001 of HOST no-such-host.invalid: "
    )


async def test_port_option_overrides_environment(tmp_path: Path) -> None:
    port = str(free_port())
    arguments = ["--port", port]

    process = await asyncio.create_subprocess_exec(
        *SERVE,
        *arguments,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "SECRET_KEY": SECRET, "SOCKETIO_PORT": "1"},
        stderr=asyncio.subprocess.PIPE,
    )

    await wait_until_there(f"http://127.0.0.1:{port}", process)
    process.terminate()
    await process.communicate()


async def test_development_server_needs_no_configuration_and_prints_instructions(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, "--dev") as server:
        assert server.process.stdout is not None
        output = ""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "const socket" not in output:
                output += (await server.process.stdout.readline()).decode()
        ada, bob = re.findall(r"^A token for \w+:\n(\S+)$", output, re.MULTILINE)

        client = await PythonClient().open(server.url, "websocket", {"auth": {"token": bob}})

        assert (await until(client, "connected"))["user_id"] == "bob"
        assert f'io("{server.url}", {{ auth: {{ token: "{ada}" }} }})' in output
        await client.close()


async def test_secrets_and_content_are_not_logged(tmp_path: Path) -> None:
    given = token("ada")
    async with served(tmp_path, SECRET_KEY=SECRET, LOG_LEVEL="debug") as server:
        client = await PythonClient().open(server.url, "upgrade", {"auth": {"token": given}})
        await client.call("send_personal_message", {"to_user_id": "bob", "content": "our secret"})
        await client.close()

        _, errors = await server.end()

        assert SECRET not in errors
        assert given not in errors
        assert "our secret" not in errors
