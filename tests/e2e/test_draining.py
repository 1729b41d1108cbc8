"""The server ends, and loses nothing: its clients come back, to it or to another."""

import asyncio
import signal
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest
import socketio
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import (
    PythonClient,
    Transport,
    node_is_installed,
    node_process,
    transports,
    until,
)
from tests.e2e.conftest import NO_NODE
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.e2e.test_crashes import ROOM, Database, Load, database, in_sqlite, start
from tests.e2e.test_serving import PATIENCE_SECONDS, free_port, served
from tests.stores import Gate, HookedStore
from tests.tokens import SECRET, token

__all__ = ["database"]  # a fixture

pytestmark = pytest.mark.anyio

SENDERS = 4
RESTARTS = 4
MESSAGE = {"to_user_id": "bob", "content": "Hello"}


def chat(store: HookedStore | None = None) -> Composition:
    settings = Settings(secret_key=SECRET, rate_limits=False)
    return compose(settings, store=store or HookedStore())


async def not_ready_reason(url: str) -> str | None:
    """Return why `/readyz` reports that the server is not ready, if it does."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/readyz") as answer:
        body: dict[str, str] = await answer.json()
        assert (answer.status == 503) == ("reason" in body)
        return body.get("reason")


async def until_draining(url: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await not_ready_reason(url) != "draining":
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("websockets", [TakeoverProtocol, "websockets-sansio"])
async def test_draining_closes_websocket_with_restart_code(websockets: Any) -> None:
    composition = chat()
    async with serving(application(composition), websockets) as url:
        websocket_url = url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        async with connect_websocket(websocket_url) as websocket:
            assert str(await websocket.recv()).startswith("0{")

            await composition.drain(0)

            with pytest.raises(ConnectionClosed) as closed:
                await websocket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012


async def test_draining_answers_open_poll_and_ends_session() -> None:
    composition = chat()
    async with serving(application(composition)) as url, raw_polling(url) as polling:
        poll = asyncio.ensure_future(polling.get())
        connection = only_session(composition)
        while connection.transport.queue._filled is None:
            await asyncio.sleep(0)

        await composition.drain(0)

        assert await poll == ["6"]
        async with polling.http.get(polling.url) as answer:
            assert answer.status == 400


@pytest.mark.parametrize("transport", ["polling", "websocket", "upgrade"])
async def test_accepted_command_is_acknowledged_before_connection_closes(
    transport: Transport,
) -> None:
    gate = Gate()
    composition = chat(HookedStore(gate))
    async with serving(application(composition)) as url:
        ada = await PythonClient().open(url, transport, {"auth": {"token": token("ada")}})
        gate.hold_next("append")
        sent = asyncio.ensure_future(ada.call("send_personal_message", MESSAGE))
        await gate.reached()

        draining = asyncio.ensure_future(composition.drain(0))
        await asyncio.sleep(0)
        gate.release()

        assert (await sent)["ok"]
        await until(ada, ":disconnect")
        await draining
        await ada.close()


async def test_stuck_command_does_not_block_draining(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "socketio_app.adapters.engineio.client_session.FINISH_TIMEOUT_SECONDS", 0.01
    )
    gate = Gate()
    composition = chat(HookedStore(gate))
    async with serving(application(composition)) as url:
        ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        gate.hold_next("append")
        await ada.send("send_personal_message", MESSAGE)
        await gate.reached()

        await composition.drain(0)

        await until(ada, ":disconnect")
        gate.release()
        await ada.close()


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_draining_server_rejects_handshakes(transport: Transport) -> None:
    composition = chat()
    async with serving(application(composition)) as url:
        await composition.drain(0)

        with pytest.raises(socketio.exceptions.ConnectionError):
            await PythonClient().open(url, transport, {"auth": {"token": token("ada")}})
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/socket.io/?EIO=4&transport=polling") as answer:
                assert (answer.status, answer.headers["connection"]) == (503, "close")


async def test_restarted_application_accepts_connections() -> None:
    composition = chat()
    await composition.stop()

    async with serving(application(composition)) as url:
        ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        await until(ada, "connected")
        await ada.close()


@pytest.mark.parametrize("transport", get_args(Transport))
async def test_python_client_reconnects_after_restart(transport: Transport, tmp_path: Path) -> None:
    port = str(free_port())
    connected: asyncio.Queue[Any] = asyncio.Queue()
    # Without a session of ours, the client leaks one when it cannot reconnect.
    async with aiohttp.ClientSession() as http:
        client = reconnecting_client(http)
        client.on("connected", connected.put)
        await reconnect(client, connected, transport, tmp_path, port)


def reconnecting_client(http: aiohttp.ClientSession) -> socketio.AsyncClient:
    return socketio.AsyncClient(
        reconnection_delay=0.05, reconnection_delay_max=0.1, http_session=http
    )


async def reconnect(
    client: socketio.AsyncClient,
    connected: asyncio.Queue[Any],
    transport: Transport,
    tmp_path: Path,
    port: str,
) -> None:
    async with served(tmp_path, SECRET_KEY=SECRET, SOCKETIO_PORT=port) as first:
        auth = {"token": token("ada")}
        await client.connect(first.url, auth=auth, transports=transports(transport))
        before = await connected.get()
        await first.end()

    async with served(tmp_path, SECRET_KEY=SECRET, SOCKETIO_PORT=port):
        async with asyncio.timeout(PATIENCE_SECONDS):
            again = await connected.get()
        assert again["connection_id"] != before["connection_id"]
        await client.disconnect()


@pytest.mark.skipif(not node_is_installed(), reason=NO_NODE)
@pytest.mark.parametrize("transport", get_args(Transport))
async def test_javascript_client_reconnects_after_restart(
    transport: Transport, tmp_path: Path
) -> None:
    port = str(free_port())
    options = {"auth": {"token": token("ada")}, "reconnection": True, "reconnectionDelayMax": 100}
    async with node_process() as node:
        async with served(tmp_path, SECRET_KEY=SECRET, SOCKETIO_PORT=port) as first:
            client = await node.open(first.url, transport, {**options, "reconnectionDelay": 50})
            await until(client, "connected")
            await first.end()

        async with served(tmp_path, SECRET_KEY=SECRET, SOCKETIO_PORT=port):
            await until(client, "connected", count=2)
            await client.close()


async def test_server_accepts_clients_and_is_not_ready_during_drain_delay(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, SECRET_KEY=SECRET, DRAIN_DELAY_SECONDS="600") as server:
        assert await not_ready_reason(server.url) is None

        server.process.send_signal(signal.SIGTERM)
        await until_draining(server.url)

        ada = await PythonClient().open(server.url, "websocket", {"auth": {"token": token("ada")}})
        assert (await ada.call("send_personal_message", MESSAGE))["ok"]
        await ada.close()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_second_signal_ends_server_immediately(tmp_path: Path, by: signal.Signals) -> None:
    async with served(tmp_path, SECRET_KEY=SECRET, DRAIN_DELAY_SECONDS="600") as server:
        server.process.send_signal(by)
        await until_draining(server.url)

        status, errors = await server.end(by)

        assert status == -by
        assert "Traceback" not in errors


async def stop(process: asyncio.subprocess.Process) -> None:
    """Stop a server, and check that it exits cleanly."""
    process.terminate()
    async with asyncio.timeout(PATIENCE_SECONDS):
        _, errors = await process.communicate()
    assert process.returncode == -signal.SIGTERM
    assert "Traceback" not in errors.decode()


async def stored_ids(database: Database) -> list[str]:
    """Return the ids of the messages in the room, after checking that their `seq` has no gaps."""
    stored = await database.read()
    assert [seq for seq, _ in stored] == list(range(1, len(stored) + 1))
    return [name for _, name in stored]


async def test_restarts_under_load_neither_lose_nor_duplicate_messages(database: Database) -> None:
    load = Load(f"http://127.0.0.1:{free_port()}")
    process = await start(load.url, database)
    senders = [asyncio.create_task(load.send_from(f"sender{n}")) for n in range(SENDERS)]

    for _ in range(RESTARTS):
        await load.until_acknowledged(len(load.acknowledged) + 50)
        await stop(process)
        acknowledged = set(load.acknowledged)
        assert acknowledged <= set(await stored_ids(database))
        process = await start(load.url, database)

    load.stopping = True
    await asyncio.gather(*senders)
    await stop(process)
    assert sorted(await stored_ids(database)) == sorted(load.acknowledged)
    # Every sender's messages are in the order in which they were sent.
    for n in range(SENDERS):
        numbers = [
            int(name.partition("-")[2])
            for name in await stored_ids(database)
            if name.startswith(f"sender{n}-")
        ]
        assert numbers == sorted(numbers)


async def test_member_that_reconnects_has_every_message_once(tmp_path: Path) -> None:
    """The member's client reconnects by itself, and requests the messages that it missed."""
    database = in_sqlite(tmp_path)
    load = Load(f"http://127.0.0.1:{free_port()}")
    process = await start(load.url, database)
    member = ReconnectingMember()
    await member.connect(load.url)
    await member.until_caught_up()
    sender = asyncio.create_task(load.send_from("sender"))

    for _ in range(3):
        await load.until_acknowledged(len(load.acknowledged) + 50)
        await stop(process)
        process = await start(load.url, database)
        await member.until_caught_up()
    load.stopping = True
    await sender
    await member.until_received(len(load.acknowledged))
    await member.disconnect()
    await stop(process)

    assert member.received == await stored_ids(database)


class ReconnectingMember:
    """A member of the room, whose client is written as an application would."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self._is_member = False
        self._caught_up = asyncio.Event()
        self._changed = asyncio.Event()
        self._http = aiohttp.ClientSession()
        self._client = reconnecting_client(self._http)
        self._client.on("connected", self._on_connected)
        self._client.on("receive_group_message", self._on_message)
        self._live: list[Any] | None = []

    async def connect(self, url: str) -> None:
        await self._client.connect(url, auth={"token": token("listener")}, transports=["websocket"])
        assert (await self._client.call("join_room", ROOM))["ok"]
        self._is_member = True

    async def until_received(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.received) < count:
                self._changed.clear()
                await self._changed.wait()

    async def until_caught_up(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._caught_up.wait()
        self._caught_up.clear()

    async def disconnect(self) -> None:
        await self._client.disconnect()
        await self._http.close()

    async def _on_connected(self, _connected: Any) -> None:
        self._live = []
        has_more = self._is_member
        while has_more:
            asked = {**ROOM, "after_seq": len(self.received), "limit": 100}
            page = await self._client.call("fetch_history", asked)
            assert page["ok"], page
            self._take(page["messages"])
            has_more = page["has_more"]
        live, self._live = self._live, None
        self._take(live)
        self._caught_up.set()

    async def _on_message(self, message: Any) -> None:
        if self._live is not None:
            self._live.append(message)
        else:
            self._take([message])

    def _take(self, messages: list[Any]) -> None:
        for message in messages:
            if message["seq"] > len(self.received):
                assert message["seq"] == len(self.received) + 1
                self.received.append(message["client_message_id"])
        self._changed.set()
