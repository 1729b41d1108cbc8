"""The reference host in a folder of its own, as a team deploys it, and its processes."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from tests.e2e.clients import Client, NodeProcess, PythonClient, Transport, until
from tests.ports import free_port
from tests.tokens import SECRET

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
API = "/api/v1"
FRONT_END = "http://localhost:5173"
PATIENCE_SECONDS = 60

_numbers = count(1)


@attrs.frozen
class Deployment:
    """The host's files, and the environment of its processes."""

    folder: Path
    environment: dict[str, str]

    def copied_to(self, folder: Path) -> "Deployment":
        """Copy the files, but not the database."""
        shutil.copytree(self.folder / "app", folder / "app")
        shutil.copy(self.folder / "alembic.ini", folder)
        return attrs.evolve(self, folder=folder)

    async def run(self, *command: str) -> tuple[int, str]:
        """Run a command; return its exit status and output."""
        process = await asyncio.create_subprocess_exec(
            *[str(BIN / command[0]), *command[1:]],
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                output, _ = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def succeeds(self, *command: str) -> str:
        """Run a command that must succeed; return its output."""
        status, output = await self.run(*command)
        assert status == 0, output
        return output

    @asynccontextmanager
    async def serving(self, *command: str) -> AsyncIterator["Shop"]:
        """Serve the host with a command on a free port."""
        port = free_port()
        log = self.folder / "log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *[str(BIN / command[0]), *command[1:], "--port", str(port)],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{port}"
        try:
            async with aiohttp.ClientSession(url) as http:
                await _until_served(http, process, log)
                yield Shop(url, http)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def deploy(
    folder: Path,
    database_url: str,
    *,
    with_sqlmodel: bool = False,
    more: Mapping[str, str] | None = None,
) -> Deployment:
    """Copy the host's files into a folder, and configure it, with `more` settings."""
    shutil.copytree(
        HERE / "shop", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    if with_sqlmodel:
        shutil.copy(HERE / "shop_sqlmodel/models.py", folder / "app/models.py")
        shutil.copy(HERE / "shop_sqlmodel/db.py", folder / "app/core/db.py")
    environment = {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": SECRET,
        "WORKER_KEY": "the-key-of-the-worker",
        "DATABASE_URL": database_url.replace("postgresql:", "postgresql+psycopg:"),
        "BACKEND_CORS_ORIGINS": f'["{FRONT_END}"]',
        **(more or {}),
    }
    return Deployment(folder, environment)


async def _until_served(
    http: aiohttp.ClientSession, process: asyncio.subprocess.Process, log: Path
) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            assert process.returncode is None, log.read_text()
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with http.get(f"{API}/openapi.json") as answer:
                    assert answer.status == 200, log.read_text()
                    return
            await asyncio.sleep(0.02)


@attrs.frozen
class Shop:
    """The running host."""

    url: str
    http: aiohttp.ClientSession

    async def new_customer(self) -> "Customer":
        """Sign up and log in, as the front end does."""
        email = f"customer-{next(_numbers)}@example.com"
        account = {"email": email, "password": "correct horse"}
        async with self.http.post(f"{API}/signup", json=account) as answer:
            assert answer.status == 201, await answer.text()
            user_id = await answer.json()
        form = {"username": email, "password": "correct horse"}
        async with self.http.post(f"{API}/login/access-token", data=form) as answer:
            assert answer.status == 200, await answer.text()
            token = (await answer.json())["access_token"]
            return Customer(self, user_id, token, answer.headers.get("Set-Cookie", ""))


@attrs.frozen
class Customer:
    """A user who is logged in."""

    shop: Shop
    user_id: int
    token: str
    cookie: str

    async def request(self, method: str, path: str, **parameters: str) -> tuple[int, Any]:
        """Call the API; return the status and the JSON of the response."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.shop.http.request(
            method, f"{API}{path}", params=parameters, headers=headers
        ) as answer:
            return answer.status, await answer.json()

    async def messages(self) -> list[str]:
        """Return the history of the customer and the shop, from the API."""
        status, messages = await self.request("GET", "/orders/messages")
        assert status == 200
        return list(messages)

    @asynccontextmanager
    async def connected(
        self, transport: Transport = "websocket", node: NodeProcess | None = None, **options: Any
    ) -> AsyncIterator[Client]:
        """Connect to the chat with Python's client, or the official one."""
        given = options or {"auth": {"token": self.token}}
        opening = PythonClient() if node is None else node
        client: Client = await opening.open(self.shop.url, transport, given)
        try:
            assert (await until(client, "connected"))["user_id"] == str(self.user_id)
            yield client
        finally:
            await client.close()


def received(client: Client) -> list[str]:
    """Return the contents of the personal messages that a client has received."""
    return [payload["content"] for payload in client.inbox.of("receive_personal_message")]
