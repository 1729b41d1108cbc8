"""The README's snippets work as described."""

import asyncio
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.clients import NODE_CLIENT, PythonClient, node_is_installed, until
from tests.e2e.conftest import NO_NODE
from tests.e2e.serving import serving
from tests.e2e.uvicorn_process import python_module
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

README = (Path(__file__).parents[2] / "README.md").read_text()


def snippet(name: str) -> str:
    """Return the Python code under a mark in the README."""
    found = re.search(rf"<!-- snippet: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


def javascript() -> str:
    """Return the README's JavaScript, joined."""
    return "".join(re.findall(r"```javascript\n(.*?)```", README, re.DOTALL))


def run_snippet(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a snippet with the settings that the README asks for; return its module's names."""
    monkeypatch.setenv("SECRET_KEY", SECRET)
    module = tmp_path / "module.py"
    module.write_text(snippet(name))
    return runpy.run_path(str(module))


def test_every_python_snippet_has_a_test() -> None:
    marked = re.findall(r"<!-- snippet: (\S+) -->\n```python\n", README)

    assert len(marked) == README.count("```python\n")
    assert set(marked) == {
        "python-client",
        "add-chat",
        "in-front",
        "verify-token",
        "post-from-a-route",
        "post-from-a-thread",
        "send-in-a-transaction",
        "below-a-path",
    }


async def test_fastapi_command_serves_the_application(tmp_path: Path) -> None:
    command = re.search(r"^\$ (fastapi dev) main.py$", README, re.MULTILINE)
    assert command is not None

    source = snippet("add-chat")
    async with python_module(tmp_path, source, *command[1].split(), "hosted.py") as server:
        await server.until_written(lambda written: "startup complete" in written)
        await server.until_listening()
        options = {"auth": {"token": token("ada")}}
        ada = await PythonClient().open(server.url, "upgrade", options)
        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()


async def test_python_client_sends_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run_snippet("add-chat", tmp_path, monkeypatch)["app"]
    script = tmp_path / "client.py"
    script.write_text(snippet("python-client"))

    async with serving(app) as base_url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), base_url, token("ada"), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()

    assert process.returncode == 0
    assert said.decode() == "stored as number 1\n"


async def test_javascript_joins_a_room_and_sends_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not node_is_installed():
        assert not os.environ.get("CI"), NO_NODE
        pytest.skip(NO_NODE)
    app = run_snippet("add-chat", tmp_path, monkeypatch)["app"]
    local = NODE_CLIENT / "node_modules/socket.io-client/build/esm/index.js"

    async with serving(app) as base_url:
        written = (
            re.sub(r"https://cdn\S+?\.js", local.as_uri(), javascript())
            .replace("http://127.0.0.1:8001", base_url)
            .replace("PASTE A TOKEN", token("ada"))
        )
        script = tmp_path / "console.mjs"
        script.write_text(written + "\nsocket.disconnect()\n")
        process = await asyncio.create_subprocess_exec(
            "node", str(script), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()

    assert process.returncode == 0
    for event in ("connected", "user_joined", "group_message_delivered"):
        assert event in said.decode()


@pytest.mark.parametrize("name", ["add-chat", "in-front"])
async def test_application_keeps_its_routes_beside_the_chat(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run_snippet(name, tmp_path, monkeypatch)["app"]

    async with serving(app) as base_url, aiohttp.ClientSession(base_url) as http:
        async with http.get("/hello") as answer:
            assert await answer.json() == {"hello": "world"}
        ada = await PythonClient().open(base_url, "websocket", {"auth": {"token": token("ada")}})
        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()


async def test_tokens_are_verified_by_a_function_of_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run_snippet("verify-token", tmp_path, monkeypatch)["app"]

    async with serving(app) as base_url:
        options = {"auth": {"token": "opaque-session-id"}}
        ada = await PythonClient().open(base_url, "websocket", options)
        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()


@pytest.mark.parametrize(
    ("name", "path", "content"),
    [
        ("post-from-a-route", "/orders/7/shipped", "Order 7 is on its way"),
        ("post-from-a-thread", "/orders/7/packed", "Order 7 is packed"),
    ],
)
async def test_route_sends_a_message(
    name: str, path: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run_snippet(name, tmp_path, monkeypatch)["app"]

    async with serving(app) as base_url, aiohttp.ClientSession(base_url) as http:
        ada = await PythonClient().open(base_url, "websocket", {"auth": {"token": token("ada")}})
        async with http.post(path, params={"customer": "ada"}) as answer:
            assert await answer.json() == {"seq": 1}
        received = await until(ada, "receive_personal_message")
        await ada.close()

    assert received["content"] == content
    assert received["from_user_id"] == "shop"


async def test_message_of_a_transaction_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/app.db")
    found = run_snippet("send-in-a-transaction", tmp_path, monkeypatch)

    async with serving(found["app"]) as base_url, aiohttp.ClientSession(base_url) as http:
        ada = await PythonClient().open(base_url, "websocket", {"auth": {"token": token("ada")}})
        async with http.post("/orders/7", params={"customer": "ada"}) as answer:
            assert answer.status == 200
        received = await until(ada, "receive_personal_message")
        await ada.close()
    await found["engine"].dispose()

    assert received["content"] == "Order 7"


async def test_client_connects_to_a_chat_below_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/chat.db")
    app = run_snippet("below-a-path", tmp_path, monkeypatch)["app"]

    async with serving(app) as base_url:
        options = {"auth": {"token": token("ada")}, "path": "/chat/socket.io"}
        ada = await PythonClient().open(base_url, "polling", options)
        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()
