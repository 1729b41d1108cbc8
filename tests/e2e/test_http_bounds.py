"""The work of one HTTP connection per event loop iteration is bounded (`socketio-app serve`)."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from socketio_app.adapters.websocket import uvicorn_http_protocol
from socketio_app.adapters.websocket.shared_turn import MAX_PER_TURN
from socketio_app.adapters.websocket.uvicorn_http_protocol import (
    MAX_HEAD_BYTES,
    BoundedHttpProtocol,
)
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient, Transport
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: chat\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: chat\r\nConnection: close\r\n\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: chat\r\nContent-Length: %d\r\n\r\n"
TIMEOUT_SECONDS = 60


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = application(compose(Settings(secret_key=SECRET)))
    async with serving(app, http=BoundedHttpProtocol) as base_url:
        yield base_url


async def answer(url: str, *sent: bytes) -> bytes:
    """Send data, and read to the end."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        for each in sent:
            writer.write(each)
            await writer.drain()
        received = await reader.read()
    writer.close()
    return received


async def test_pipelined_requests_are_answered_in_order(url: str) -> None:
    received = await answer(url, REQUEST * 500 + LAST)

    assert received.count(b"HTTP/1.1 200") == 501


async def test_pipelined_requests_are_parsed_in_pieces(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []
    feed = BoundedHttpProtocol._feed

    def feed_noting(protocol: BoundedHttpProtocol, piece: bytes) -> None:
        assert not protocol._is_answering
        parsed.append(len(piece))
        feed(protocol, piece)

    monkeypatch.setattr(BoundedHttpProtocol, "_feed", feed_noting)
    sent = REQUEST * 500 + LAST

    await answer(url, sent)

    assert sum(parsed) == len(sent)
    assert max(parsed) <= uvicorn_http_protocol.MAX_CHUNK_BYTES


async def test_first_requests_of_many_connections_are_spread_over_ticks(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed_by_turn: Counter[int] = Counter()
    turn, feed = 0, BoundedHttpProtocol._feed

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def feed_noting(protocol: BoundedHttpProtocol, piece: bytes) -> None:
        fed_by_turn[turn] += 1
        feed(protocol, piece)

    monkeypatch.setattr(BoundedHttpProtocol, "_feed", feed_noting)
    counting = asyncio.create_task(count_turns())

    answers = await asyncio.gather(*[answer(url, LAST) for _ in range(50)])

    counting.cancel()
    assert all(received.startswith(b"HTTP/1.1 200") for received in answers)
    assert sum(fed_by_turn.values()) == 50
    assert (
        max(fed_by_turn.values()) <= 2 * MAX_PER_TURN
    )  # one iteration of the server may be two of the test


async def test_large_body_is_received_completely(url: str) -> None:
    received = await answer(url, POST % 300_000 + b"x" * 300_000 + LAST)

    assert received.count(b"HTTP/1.1 ") == 2


async def test_header_over_limit_closes_connection(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    received = await answer(url, b"GET /?" + b"x" * (MAX_HEAD_BYTES + 5000))

    assert received.startswith(b"HTTP/1.1 400")
    assert "connection closed: request head too large" in caplog.messages


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: ", REQUEST + b"GET /"])
async def test_incomplete_header_times_out(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(uvicorn_http_protocol, "HEAD_TIMEOUT_SECONDS", 0.05)

    await answer(url, sent)

    assert "connection closed: request timed out" in caplog.messages


@pytest.mark.parametrize("transport", ["polling", "websocket", "upgrade"])
async def test_ordinary_clients_are_served(url: str, transport: Transport) -> None:
    client = await PythonClient().open(url, transport, {"auth": {"token": token("ada")}})
    post = {"to_user_id": "bob", "content": "x" * 4096}

    for _ in range(20):
        assert (await client.call("send_personal_message", post))["ok"]

    page = await client.call("fetch_history", {"to_user_id": "bob", "limit": 200})
    assert len(page["messages"]) == 20
    await client.close()
