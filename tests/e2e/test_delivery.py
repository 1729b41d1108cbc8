"""A message is delivered when the recipient's client has received it (docs/wire.md, "Reading").

Official clients confirm implicitly, by answering pings and by polling.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import pytest

from socketio_app.adapters.engineio.confirmations import CONFIRMATION_INTERVAL_SECONDS
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.clients import (
    Client,
    Inbox,
    NodeProcess,
    PythonClient,
    node_process,
    settled,
    transports,
    until,
)
from tests.e2e.conftest import Connect, Kind
from tests.e2e.frame_client import FrameClient
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving
from tests.e2e.tcp_proxy import tcp_proxy
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

TO_BOB, TO_ADA = {"to_user_id": "bob"}, {"to_user_id": "ada"}
HELLO = {**TO_BOB, "content": "hello"}
CONNECT = '40{"token":"%s"}'


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """Without pushed messages, where a test reads them by a command."""
    pushed: int = getattr(request, "param", 500)
    return Settings(secret_key=SECRET, rate_limits=False, chat_offline_push=pushed)


nothing_is_pushed = pytest.mark.parametrize("settings", [0], indirect=True, ids=["nothing pushed"])


def receipts(client: Client) -> list[int]:
    """Return the `seq`s of the messages whose delivery a sender was notified of, in order."""
    return [event["seq"] for event in client.inbox.of("personal_message_delivered")]


async def test_each_message_is_reported_once_in_order(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")

    for _ in range(40):
        await ada.call("send_personal_message", HELLO)

    await until(bob, "receive_personal_message", count=40)
    await until(ada, "personal_message_delivered", count=40)
    await settled(ada)
    assert receipts(ada) == list(range(1, 41))


async def test_message_received_by_several_devices_is_reported_once(connect: Connect) -> None:
    ada, bob, bobs_phone = [await connect(user) for user in ("ada", "bob", "bob")]

    await ada.call("send_personal_message", HELLO)
    for device in (bob, bobs_phone):
        await until(device, "receive_personal_message")

    await until(ada, "personal_message_delivered")
    # When a later message is confirmed, the second device's confirmation has arrived as well.
    await ada.call("send_personal_message", HELLO)
    await until(ada, "personal_message_delivered", count=2)
    assert receipts(ada) == [1, 2]


@nothing_is_pushed
@pytest.mark.parametrize("command", ["fetch_history", "catch_up"])
async def test_messages_read_by_command_are_delivered(connect: Connect, command: str) -> None:
    ada = await connect("ada")
    for _ in range(2):
        await ada.call("send_personal_message", HELLO)
    bob = await connect("bob")
    epoch = (await until(bob, "connected"))["epoch"]

    payload = TO_ADA if command == "fetch_history" else {"epoch": epoch, "positions": []}
    await bob.call(command, payload)

    await until(ada, "personal_message_delivered", count=2)
    assert receipts(ada) == [1, 2]


@nothing_is_pushed
async def test_command_without_acknowledgement_delivers_nothing(connect: Connect) -> None:
    ada = await connect("ada")
    await ada.call("send_personal_message", HELLO)
    bob = await connect("bob")

    await bob.send("fetch_history", TO_ADA)
    await settled(bob)
    await ada.call("send_personal_message", {**HELLO, "content": "live"})

    await until(ada, "personal_message_delivered")
    assert receipts(ada) == [2]


@attrs.define
class Opener:
    """Opens official clients of one kind with any URL."""

    kind: Kind
    node: NodeProcess | None
    stack: AsyncExitStack

    async def open(self, url: str, user_id: str) -> Client:
        options = {"auth": {"token": token(user_id)}}
        open_client: Callable[..., Awaitable[Client]]
        open_client = PythonClient().open if self.node is None else self.node.open
        client = await open_client(url, self.kind.transport, options)
        self.stack.push_async_callback(client.close)
        return client


@pytest.fixture
async def opener(kind: Kind, node: NodeProcess | None) -> AsyncIterator[Opener]:
    async with AsyncExitStack() as stack:
        yield Opener(kind, node, stack)


async def test_message_to_half_open_connection_is_not_delivered(
    url: str, connect: Connect, opener: Opener
) -> None:
    ada = await connect("ada")
    async with tcp_proxy(url) as proxy:
        bob = await opener.open(proxy.url, "bob")
        await ada.call("send_personal_message", HELLO)
        await until(ada, "personal_message_delivered")

        proxy.is_frozen = True
        lost = [(await ada.call("send_personal_message", HELLO))["message"] for _ in range(3)]
        await settled(ada)
        assert receipts(ada) == [1]

        bob_again = await connect("bob")
        await until(bob_again, "receive_personal_message", count=3)
        await until(ada, "personal_message_delivered", count=4)

        assert bob_again.inbox.of("receive_personal_message") == lost
        assert len(bob.inbox.of("receive_personal_message")) == 1
        assert receipts(ada) == [1, 2, 3, 4]


@asynccontextmanager
async def client_process(url: str, kind: Kind, user_id: str) -> AsyncIterator[tuple[Inbox, int]]:
    """Run a client in a separate process; yield its events and its process."""
    if kind.client == "javascript":
        async with node_process() as node:
            client = await node.open(url, kind.transport, {"auth": {"token": token(user_id)}})
            yield client.inbox, node.pid
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.e2e.python_client",
        url,
        token(user_id),
        *transports(kind.transport),
        stdout=asyncio.subprocess.PIPE,
    )
    inbox = Inbox()

    async def listen() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            inbox.put(*json.loads(line))

    listening = asyncio.create_task(listen())
    await inbox.until(lambda: bool(inbox.of("connected")))
    try:
        yield inbox, process.pid
    finally:
        process.kill()
        await process.wait()
        await listening


async def test_message_to_stopped_process_is_delivered_when_it_continues(
    url: str, kind: Kind, connect: Connect
) -> None:
    ada = await connect("ada")
    async with client_process(url, kind, "bob") as (inbox, pid):
        await ada.call("send_personal_message", HELLO)
        await until(ada, "personal_message_delivered")

        os.kill(pid, signal.SIGSTOP)
        await ada.call("send_personal_message", HELLO)
        await settled(ada)
        assert receipts(ada) == [1]

        os.kill(pid, signal.SIGCONT)
        await inbox.until(lambda: len(inbox.of("receive_personal_message")) == 2)
        await until(ada, "personal_message_delivered", count=2)
        assert receipts(ada) == [1, 2]


@asynccontextmanager
async def chat() -> AsyncIterator[str]:
    settings = Settings(secret_key=SECRET, rate_limits=False)
    async with serving(create_socketio_app(settings=settings)) as base_url:
        yield base_url


async def over_websocket(url: str, user_id: str) -> PythonClient:
    return await PythonClient().open(url, "websocket", {"auth": {"token": token(user_id)}})


class TestPolling:
    async def test_message_to_client_that_stops_polling_is_not_delivered(self) -> None:
        async with chat() as url, raw_polling(url) as bob:
            ada = await over_websocket(url, "ada")
            await bob.post(CONNECT % token("bob"))
            while not any("connected" in packet for packet in await bob.get()):
                pass

            sent = await ada.call("send_personal_message", HELLO)
            await settled(ada)
            assert receipts(ada) == []

            bob_again = await over_websocket(url, "bob")
            assert await until(bob_again, "receive_personal_message") == sent["message"]
            await until(ada, "personal_message_delivered")
            assert receipts(ada) == [1]
            await ada.close()
            await bob_again.close()

    async def test_poll_confirms_previous_response(self) -> None:
        async with chat() as url, raw_polling(url) as bob:
            ada = await over_websocket(url, "ada")
            await bob.post(CONNECT % token("bob"))
            while not any("connected" in packet for packet in await bob.get()):
                pass
            await ada.call("send_personal_message", HELLO)
            while not any("receive_personal_message" in packet for packet in await bob.get()):
                pass
            await settled(ada)
            assert receipts(ada) == []

            polling = asyncio.create_task(bob.get())

            await until(ada, "personal_message_delivered")
            await ada.call("send_personal_message", HELLO)
            await polling
            assert receipts(ada) == [1]
            await ada.close()

    async def test_message_that_did_not_fit_response_is_confirmed_by_later_poll(self) -> None:
        async with chat() as url, raw_polling(url) as bob:
            ada = await over_websocket(url, "ada")
            for _ in range(20):
                await ada.call("send_personal_message", HELLO)
            await bob.post(CONNECT % token("bob"))

            received = 0
            while received < 20:
                packets = await bob.get()
                # Messages received before this response are reported, those in it are not.
                if received:
                    await until(ada, "personal_message_delivered", count=received)
                await settled(ada)
                assert len(receipts(ada)) == received
                received += sum("receive_personal_message" in packet for packet in packets)
            await ada.close()


class TestWebSocket:
    async def test_message_is_not_delivered_without_pong(self) -> None:
        async with chat() as url:
            ada = await over_websocket(url, "ada")
            bob = await FrameClient.open(url, "websocket")
            await bob.send_and_settle([CONNECT % token("bob")])
            await ada.call("send_personal_message", HELLO)
            await bob.send_and_settle([])
            await settled(ada)
            assert receipts(ada) == []

            await bob.send_and_settle(["3"])

            await until(ada, "personal_message_delivered")
            await bob.close()
            await ada.close()

    async def test_unsolicited_pongs_confirm_nothing(self) -> None:
        async with chat() as url:
            ada = await over_websocket(url, "ada")
            bob = await FrameClient.open(url, "websocket")
            await bob.send_and_settle([CONNECT % token("bob"), "3", "3", "3"])
            await ada.call("send_personal_message", HELLO)
            await bob.send_and_settle([])
            await settled(ada)
            assert receipts(ada) == []
            await bob.close()
            await ada.close()

    async def test_busy_connection_is_pinged_once_per_interval(self) -> None:
        async with chat() as url:
            ada = await over_websocket(url, "ada")
            bob = await PythonClient().open(url, "websocket", {"auth": {"token": token("bob")}})
            began = asyncio.get_running_loop().time()
            pings = record_pongs(bob)

            for _ in range(300):
                await ada.call("send_personal_message", HELLO)
            await until(ada, "personal_message_delivered", count=300)

            seconds = asyncio.get_running_loop().time() - began
            assert 1 <= len(pings) <= seconds / CONFIRMATION_INTERVAL_SECONDS + 1
            assert receipts(ada) == list(range(1, 301))
            await bob.close()
            await ada.close()


def record_pongs(client: PythonClient) -> list[Any]:
    """Record the pongs that python-engineio's client sends from now on."""
    engine, pongs = client._client.eio, []
    send = engine._send_packet

    async def note_and_send(packet: Any) -> None:
        if packet.packet_type == 3:
            pongs.append(packet)
        await send(packet)

    engine._send_packet = note_and_send
    return pongs


class TestUpgrade:
    @pytest.mark.parametrize("moment", ["before the probe", "after the probe"])
    async def test_message_sent_during_upgrade_is_received_once_and_confirmed_by_pong(
        self, moment: Any
    ) -> None:
        async with chat() as url:
            ada = await over_websocket(url, "ada")
            bob = await FrameClient.open(url, "polling")
            await bob.send_and_settle([CONNECT % token("bob")])

            async def send_message() -> None:
                await ada.call("send_personal_message", HELLO)

            await bob.upgrade(send_message, moment, [])
            await settled(ada)
            assert receipts(ada) == []
            await bob.send_and_settle(["3"])

            await until(ada, "personal_message_delivered")
            assert sum("receive_personal_message" in packet for packet in bob.received) == 1
            await bob.close()
            await ada.close()

    async def test_failed_upgrade_confirms_nothing(self) -> None:
        async with chat() as url:
            ada = await over_websocket(url, "ada")
            bob = await FrameClient.open(url, "polling")
            await bob.send_and_settle([CONNECT % token("bob")])

            async def send_message() -> None:
                await ada.call("send_personal_message", HELLO)

            await bob.fail_to_upgrade(send_message, "after the probe")
            await settled(ada)
            assert receipts(ada) == []
            await bob.send_and_settle([])
            await bob.send_and_settle([])

            await until(ada, "personal_message_delivered")
            assert sum("receive_personal_message" in packet for packet in bob.received) == 1
            await bob.close()
            await ada.close()
