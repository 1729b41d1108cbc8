"""The deployment files work with the programs that they are for."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import get_args

import pytest

from socketio_app.adapters.engineio.poll_codec import max_post_bytes
from socketio_app.entrypoints.settings import Settings, names
from socketio_app.main import create_socketio_app
from tests.e2e.clients import PythonClient, Transport, until
from tests.e2e.serving import serving
from tests.e2e.test_serving import PATIENCE_SECONDS, free_port
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

DEPLOY = Path(__file__).parents[2] / "deploy"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")

AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


@asynccontextmanager
async def behind_nginx(folder: Path, *ports: str) -> AsyncIterator[str]:
    """Run nginx with the example's configuration before servers on these ports; yield its URL."""
    assert NGINX is not None
    port = free_port()
    servers = "\n".join(f"server 127.0.0.1:{each};" for each in ports)
    site = (DEPLOY / "nginx.conf").read_text()
    for ours, example in (
        (servers, "server 127.0.0.1:8001;"),
        (f"listen 127.0.0.1:{port};", "listen 80;"),
    ):
        assert site.count(f"    {example}\n") == 1
        site = site.replace(f"    {example}\n", f"    {ours}\n")
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(folder=folder, site=site))
    process = await asyncio.create_subprocess_exec(
        *[NGINX, "-p", str(folder), "-c", str(configuration)]
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await accepts(port):
                assert process.returncode is None, (folder / "error.log").read_text()
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed, so its example is NOT TESTED")
@pytest.mark.parametrize("transport", get_args(Transport))
async def test_nginx_routes_each_client_to_one_process(
    transport: Transport, tmp_path: Path, settings: Settings
) -> None:
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(serving(create_socketio_app(settings=settings)))
            for _ in range(3)
        ]
        ports = [url.rpartition(":")[2] for url in servers]
        url = await stack.enter_async_context(behind_nginx(tmp_path, *ports))
        ada, bob = [
            await PythonClient().open(url, transport, {"auth": {"token": token(name)}})
            for name in ("ada", "bob")
        ]

        for number in range(20):
            message = {"to_user_id": "bob", "content": f"Hello {number}"}
            assert (await ada.call("send_personal_message", message))["ok"]

        assert (await until(bob, "receive_personal_message", 20))["content"] == "Hello 19"
        for client in (ada, bob):
            await client.close()


def test_nginx_accepts_largest_polling_request() -> None:
    site = (DEPLOY / "nginx.conf").read_text()
    (kibibytes,) = re.findall(r"^\s*client_max_body_size (\d+)k;$", site, re.MULTILINE)

    assert int(kibibytes) * 1024 >= max_post_bytes(Settings(secret_key=SECRET).max_frame_bytes)


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_unit(tmp_path: Path) -> None:
    assert SYSTEMD_ANALYZE is not None
    unit = (DEPLOY / "socketio-app.service").read_text()
    (command,) = re.findall(r"^ExecStart=(\S+) serve$", unit, re.MULTILINE)
    here = Path(sys.executable).parent / "socketio-app"
    (tmp_path / "socketio-app.service").write_text(unit.replace(command, str(here)))

    verified = subprocess.run(
        [SYSTEMD_ANALYZE, "verify", "--man=no", str(tmp_path / "socketio-app.service")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "socketio-app.service" not in verified.stderr
    assert verified.returncode == 0


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("socketio-app.service", r"^Environment=(.*)$"),
        ("Dockerfile", r"^ENV (PATH=(?:.*\\\n)*.*)$"),
    ],
)
def test_deployment_files_use_known_settings(file: str, pattern: str) -> None:
    (found,) = re.findall(pattern, (DEPLOY / file).read_text(), re.MULTILINE)
    given = set(re.findall(r"\b([A-Z_]+)=", found))

    assert given - {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"} <= set(names())
    assert "DATABASE_URL" in given


def test_container_is_not_root_and_has_health_check() -> None:
    final = (DEPLOY / "Dockerfile").read_text().rpartition("\nFROM ")[2]

    assert re.search(r"^USER (?!root)\w+$", final, re.MULTILINE)
    (asked,) = re.findall(r'^HEALTHCHECK .*CMD \["python", "-c", "(.*)"\]$', final, re.MULTILINE)
    compile(asked.replace('\\"', '"'), "HEALTHCHECK", "exec")
    assert "/healthz" in asked
