"""Clients that stop reading in a busy room; the server is a separate process."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.application.commands import Actor, SendMessage
from socketio_app.domain.conversations import Person
from socketio_app.domain.identifiers import UserId
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient
from tests.e2e.frame_client import SMALL_BUFFER, FrameClient, Transport
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.e2e.test_serving import Served, served
from tests.stores import HookedStore
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

CONTENT = "x" * 4000
MESSAGES = 4000
"""Sixteen megabytes for each member."""

STALLED: Sequence[Transport] = ("polling", "websocket") * 4
MAX_UNREAD_BYTES = 1_048_576
FETCH = '["fetch_history",{"room_id":"lobby","after_seq":%d,"limit":200}]'


async def connect_member(server: Served, user_id: str) -> PythonClient:
    auth = {"auth": {"token": token(user_id)}}
    client = await PythonClient().open(server.url, "websocket", auth)
    await client.call("join_room", {"room_id": "lobby"})
    return client


async def connect_stalled(server: Served, transport: Transport) -> FrameClient:
    """Connect Mallory, who joins the room and then stops reading."""
    client = await FrameClient.open(server.url, transport, has_small_buffer=True)
    packets = ['40{"token":"%s"}' % token("mallory"), '421["join_room",{"room_id":"lobby"}]']
    await client.send_until(packets, "431[")
    return client


async def test_clients_that_do_not_read_use_bounded_memory_and_lose_no_messages(
    tmp_path: Path,
) -> None:
    settings = {"DATABASE_URL": "sqlite:///chat.db", "RATE_LIMITS": "off"}
    async with served(tmp_path, SECRET_KEY=SECRET, **settings) as server:
        ada, bob = await connect_member(server, "ada"), await connect_member(server, "bob")
        process = psutil.Process(server.process.pid)

        async def talk(messages: int) -> int:
            """Let Ada send messages; return the largest memory use of the server."""
            largest = 0
            for number in range(messages):
                post = {"room_id": "lobby", "content": CONTENT}
                assert (await ada.call("send_group_message", post))["ok"]
                if number % 50 == 0:
                    largest = max(largest, process.memory_info().rss)
            return largest

        warm = 250
        small = await talk(warm)
        # SQLite's page cache grows with each message, up to its limit.
        before = await talk(MESSAGES)
        cached = before - small
        warm += MESSAGES
        mallory = [await connect_stalled(server, transport) for transport in STALLED]
        grown_by = await talk(MESSAGES) - before

        # Unread frames of several connections are the same bytes.
        assert grown_by - cached < len(STALLED) * MAX_UNREAD_BYTES < MESSAGES * len(CONTENT)

        payloads = bob.inbox.of
        await bob.inbox.until(lambda: len(payloads("receive_group_message")) == warm + MESSAGES)
        assert [each["seq"] for each in payloads("receive_group_message")] == list(
            range(1, warm + MESSAGES + 1)
        )
        for each in mallory:
            await each.release()
        assert await missed_seqs(server, warm) == list(range(warm + 1, warm + MESSAGES + 1))
        for client in (ada, bob):
            await client.close()
        _, errors = await server.end()
    lines = [json.loads(line) for line in errors.splitlines()]
    ended = [line for line in lines if line["event"] == "connection closed: client does not read"]
    assert len(ended) == len(STALLED)


@pytest.mark.parametrize(
    "protocol", [TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"]
)
async def test_slow_reader_gets_all_replies_to_concurrent_commands(
    protocol: type[asyncio.Protocol] | str,
) -> None:
    """Four pages of 250 KB, of which only one may be unread at a time."""
    settings = Settings(secret_key=SECRET, rate_limits=False, max_unread_bytes=65_536)
    composition = compose(settings)
    app = application(composition)
    async with serving(app, protocol, system_buffer_bytes=SMALL_BUFFER) as url:
        for number in range(200):
            post = SendMessage(Person(UserId("bob")), f"{number}" + "x" * 1000)
            await composition.chat.execute(Actor(UserId("mallory")), post)
        client = await FrameClient.open(url, "websocket", has_small_buffer=True)
        await client.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')
        fetch = '["fetch_history",{"to_user_id":"bob","limit":200}]'
        pages = [client.command(fetch) for _ in range(4)]

        assert client.websocket is not None
        client.websocket.send(pages)
        await client.send_until([], f"43{len(pages)}[")

        answers = [packet for packet in client.received if packet.startswith("43")]
        assert len(answers) == len(pages)
        await client.close()


async def test_polling_client_gets_all_replies_to_concurrent_commands() -> None:
    """Its commands wait for its polls, although the store yields between them."""
    store = HookedStore(after=lambda _call: asyncio.sleep(0.001))
    settings = Settings(secret_key=SECRET, rate_limits=False, max_unread_bytes=65_536)
    composition = compose(settings, store=store)
    async with serving(application(composition)) as url:
        for number in range(200):
            post = SendMessage(Person(UserId("bob")), f"{number}" + "x" * 1000)
            await composition.chat.execute(Actor(UserId("mallory")), post)
        client = await FrameClient.open(url, "polling")
        await client.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')
        fetch = '["fetch_history",{"to_user_id":"bob","limit":200}]'
        pages = [client.command(fetch) for _ in range(4)]

        sending = asyncio.create_task(client._send(pages))
        eio = only_session(composition)
        async with asyncio.timeout(60):
            while not eio.transport.queue.bytes:
                await asyncio.sleep(0)
        for _ in range(3 * len(pages)):
            await composition.store.rooms.rooms_of(UserId("bob"))  # takes as long as another page
        await client._read_until(f"43{len(pages)}[")

        assert sum(packet.startswith("43") for packet in client.received) == len(pages)
        await sending
        await client.release()


async def missed_seqs(server: Served, seq: int) -> list[int]:
    """Let Mallory reconnect; return the `seq`s of the lobby's messages after `seq`."""
    back = await FrameClient.open(server.url, "websocket")
    await back.send_until(['40{"token":"%s"}' % token("mallory")], '42["connected"')
    found: list[int] = []
    has_more = True
    while has_more:
        await back.send_and_settle([back.command(FETCH % (found[-1] if found else seq))])
        answer = next(p for p in reversed(back.received) if '"has_more"' in p)
        page = json.loads(answer[answer.index("[") :])[0]
        found += [message["seq"] for message in page["messages"]]
        has_more = page["has_more"]
    await back.close()
    return found
