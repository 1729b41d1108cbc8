"""A mistake in the configuration of the reference host is named by the last line of the log."""

import socket
from pathlib import Path

import pytest

from tests.hosts.deployment import deploy

pytestmark = pytest.mark.anyio

SERVE = ("uvicorn", "app.main:app")


async def last_line(folder: Path, *options: str, **settings: str) -> str:
    """Serve the host, which must fail; return the last line about it."""
    url = settings.pop("DATABASE_URL", f"sqlite:///{folder}/shop.db")
    host = deploy(folder, url, more=settings)
    status, output = await host.run(*SERVE, *options)
    assert status != 0
    lines = [line for line in output.splitlines() if line and not line.startswith("INFO:")]
    return [line for line in lines if "startup failed" not in line][-1]


async def test_missing_key(tmp_path: Path) -> None:
    """The host's own settings require it; the lines of pydantic name it."""
    host = deploy(tmp_path, "sqlite:///shop.db", more={"SECRET_KEY": ""})
    status, output = await host.run(*SERVE)

    assert status != 0
    assert "validation error for Settings\nSECRET_KEY\n  Field required" in output


async def test_short_key(tmp_path: Path) -> None:
    line = await last_line(tmp_path, SECRET_KEY="changethis")

    assert line.endswith("SECRET_KEY is unusable: it has 10 bytes, at least 32 are required")


async def test_unreachable_database(tmp_path: Path) -> None:
    line = await last_line(tmp_path, DATABASE_URL="postgresql://shop@127.0.0.1:1/shop")

    assert "cannot connect to the database" in line
    assert "Connection refused" in line


async def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = await last_line(tmp_path, "--port", str(port))

    assert "address already in use" in line
    assert str(port) in line
