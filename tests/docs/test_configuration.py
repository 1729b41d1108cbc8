"""The table of settings is the code's."""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from socketio_app.entrypoints.limits import LimitSettings
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient, until
from tests.e2e.test_serving import free_port, wait_until_there
from tests.tokens import SECRET, token

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def row(field: "attrs.Attribute[Any]") -> str:
    """A setting's row in the table."""
    default = "" if field.default in {None, ""} else f"`{field.default}`"
    return f"| `{field.name.upper()}` | {default} | {field.metadata['meaning']} |"


def is_limit(field: "attrs.Attribute[Any]") -> bool:
    """Those come last."""
    return field.name in {limit.name for limit in attrs.fields(LimitSettings)}


def test_the_table_holds_every_setting_with_its_default_and_meaning() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]

    fields: Sequence[attrs.Attribute[Any]] = attrs.fields(Settings)
    assert rows == [row(field) for field in sorted(fields, key=is_limit)]


@pytest.mark.anyio
async def test_the_command_for_a_uvicorn_of_ones_own_serves(tmp_path: Path) -> None:
    found = re.search(r"^\$ uvicorn (.*)$", PAGE, re.MULTILINE)
    assert found is not None
    module = "from socketio_app.main import create_socketio_app\napp = create_socketio_app()\n"
    (tmp_path / "module.py").write_text(module)
    port = str(free_port())
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "uvicorn", *shlex.split(found.group(1)), "--port", port],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "SECRET_KEY": SECRET},
        stderr=asyncio.subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"

    await wait_until_there(url, process)
    client = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
    assert (await until(client, "connected"))["user_id"] == "ada"
    await client.close()
    process.terminate()
    await process.communicate()
