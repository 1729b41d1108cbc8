"""The chat works on every documented ASGI server, started with the documented command."""

import contextlib
import http.client
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from tests.e2e.clients import PythonClient, clients, until
from tests.e2e.frame_client import FrameClient
from tests.e2e.members import all_messages_reach_all_members
from tests.e2e.test_serving import free_port
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

START_SECONDS = 60
END_SECONDS = 30
ENDS_POLLS = {"gunicorn", "socketio-app", "uvicorn"}
"""Servers on which open polls are answered at shutdown, and do not block it."""

SLICE_CONNECTIONS = 3
RECIPIENTS = 2 * SLICE_CONNECTIONS + 1
SECTION = (
    (Path(__file__).parents[2] / "docs" / "running.md")
    .read_text()
    .partition("## ASGI servers\n")[2]
    .partition("\n## ")[0]
)
COMMANDS = re.findall(r"^\$ (.*)$", SECTION, re.MULTILINE)
MODULES = re.findall(r"`(\w+\.py)`.*?```python\n(.*?)```", SECTION, re.DOTALL)
APPLICATION = f"""
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings

settings = Settings(secret_key="{SECRET}", rate_limits=False)
app = application(compose(settings, slice_connections={SLICE_CONNECTIONS}))
"""

APPLICATION_WITH_ADDED_CHAT = f"""
from fastapi import FastAPI
from socketio_app import Settings, add_chat

app = FastAPI()
add_chat(app, settings=Settings(secret_key="{SECRET}"))


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {{"status": "ok"}}
"""
SERVERS_OF_APPLICATIONS = {"daphne", "granian", "gunicorn", "hypercorn", "uvicorn-TakeoverProtocol"}


@attrs.frozen
class Server:
    """A server process that accepts requests."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path


def name_of(command: str) -> str:
    """Return a command's program, and what distinguishes it from other commands of the program."""
    program, *arguments = shlex.split(command)
    options = dict(pairwise(arguments))
    return "-".join(filter(None, (program, options.get("--ws", "").rpartition(":")[2])))


def test_every_supported_server_is_documented() -> None:
    assert sorted(map(name_of, COMMANDS)) == [
        "daphne",
        "granian",
        "gunicorn",
        "hypercorn",
        "socketio-app",
        "uvicorn-TakeoverProtocol",
        "uvicorn-websockets",
        "uvicorn-websockets-sansio",
        "uvicorn-wsproto",
    ]


@pytest.fixture(scope="module", params=COMMANDS, ids=name_of)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run a documented command on another port, with small slices for large rooms."""
    with running(request.param, APPLICATION, tmp_path_factory) as found:
        yield found


@contextlib.contextmanager
def running(
    command: str, application: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    program, *arguments = shlex.split(command)
    skip_where_missing(program)
    folder, port = tmp_path_factory.mktemp(program), str(free_port())
    (folder / "main.py").write_text(application)
    for name, code in MODULES:
        (folder / name).write_text(code)
    binaries = Path(sys.executable).parent
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binaries / program, *(each.replace("8001", port) for each in arguments)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "SECRET_KEY": SECRET, "SOCKETIO_PORT": port},
            stdout=output,
            stderr=output,
        )
    found = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_it_answers(found)
        yield found
        if program in ENDS_POLLS:
            with open_poll(found) as poll:
                process.terminate()
                assert poll.getresponse().status == 200
            process.wait(END_SECONDS)
            assert "Traceback" not in log.read_text()
        else:
            process.terminate()
            process.wait(END_SECONDS)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def open_poll(server: Server) -> Iterator[http.client.HTTPConnection]:
    """Open a poll that the server has received and not answered."""
    path = "/socket.io/?EIO=4&transport=polling"
    address = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=END_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", path)
        opened = json.loads(connection.getresponse().read()[1:])
        connection.request("GET", f"{path}&sid={opened['sid']}")
        # The server handles a later request after it.
        wait_until_it_answers(server)
        yield connection


def skip_where_missing(program: str) -> None:
    module = program.replace("-", "_")
    if importlib.util.find_spec(module) is None:
        reason = f"{program} is not installed, so the chat is NOT TESTED on it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def wait_until_it_answers(server: Server) -> None:
    end = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < end:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b'{"status":"ok"}'
            return
        time.sleep(0.02)
    raise AssertionError(server.log.read_text())


async def test_messages_reach_users_and_rooms_over_every_transport(server: Server) -> None:
    async with clients(server.url, ann="upgrade", bob="websocket", cid="polling") as (
        ann,
        bob,
        cid,
    ):
        for recipient, user in ((bob, "bob"), (cid, "cid")):
            sent = await ann.call("send_personal_message", {"to_user_id": user, "content": "hi"})
            received = await until(recipient, "receive_personal_message")
            assert received["message_id"] == sent["message"]["message_id"]
        for client in (ann, bob, cid):
            assert (await client.call("join_room", {"room_id": "room"}))["ok"]
        await cid.call("send_group_message", {"room_id": "room", "content": "hello"})
        for client in (ann, bob):
            assert (await until(client, "receive_group_message"))["content"] == "hello"
        assert isinstance(ann, PythonClient)
        assert ann._client.transport() == "websocket"
    assert "Traceback" not in server.log.read_text()


async def test_message_sent_after_disconnect_is_pushed_on_reconnect(server: Server) -> None:
    async with clients(server.url, dan="websocket") as (dan,):
        async with clients(server.url, eve="websocket"):
            pass
        async with clients(server.url, eve="polling"):
            pass
        sent = await dan.call("send_personal_message", {"to_user_id": "eve", "content": "later"})
        async with clients(server.url, eve="upgrade") as (eve,):
            received = await until(eve, "receive_personal_message")
            assert received["message_id"] == sent["message"]["message_id"]
    assert "Traceback" not in server.log.read_text()


async def test_server_sends_no_websocket_pings(server: Server) -> None:
    client = await FrameClient.open(server.url, "websocket")
    await client.send_and_settle(["40" + json.dumps({"token": token("ann")})])
    for _ in range(20):
        await client.send_and_settle([])
    await client.close()

    assert [frame for frame in client.received if frame.startswith("<PING")] == []


async def test_members_of_large_room_get_all_messages_in_order(server: Server) -> None:
    await all_messages_reach_all_members(server.url, RECIPIENTS, "deflate")
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    "command",
    [each for each in COMMANDS if name_of(each) in SERVERS_OF_APPLICATIONS],
    ids=name_of,
)
async def test_server_runs_application_with_added_chat(
    command: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running(command, APPLICATION_WITH_ADDED_CHAT, tmp_path_factory) as server:
        async with clients(server.url, ann="upgrade", bob="websocket") as (ann, bob):
            await ann.call("send_personal_message", {"to_user_id": "bob", "content": "hi"})
            assert (await until(bob, "receive_personal_message"))["content"] == "hi"
        assert "Traceback" not in server.log.read_text()
