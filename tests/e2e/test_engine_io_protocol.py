"""The rules of the Engine.IO protocol, version 4; a class for each section."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.engine_io.shared import until_empty
from tests.e2e.frame_client import FrameClient
from tests.e2e.serving import serving
from tests.e2e.sessions import only_session
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

PATH = "/socket.io/"
POLLING = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"
CONNECT = '40{"token":"%s"}' % token("ada")
SETTINGS = Settings(
    secret_key=SECRET, rate_limits=False, ping_interval_seconds=1, ping_timeout_seconds=1
)


@pytest.fixture
def composition() -> Composition:
    return compose(SETTINGS)


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"])
async def http(
    request: pytest.FixtureRequest, composition: Composition
) -> AsyncIterator[aiohttp.ClientSession]:
    async with serving(application(composition), request.param) as url:
        async with aiohttp.ClientSession(url) as session:
            yield session


async def request(http: aiohttp.ClientSession, method: str, url: str, body: str = "") -> int:
    async with http.request(method, url, data=body or None) as answer:
        await answer.read()
        return answer.status


async def poll(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with http.get(url) as answer:
        return answer.status, await answer.text()


async def session(http: aiohttp.ClientSession) -> str:
    """Open a session; return its polling URL."""
    _, opened = await poll(http, POLLING)
    return f"{POLLING}&sid={json.loads(opened[1:])['sid']}"


async def is_rejected(http: aiohttp.ClientSession, url: str, **headers: str) -> bool:
    """Return whether a WebSocket is rejected, or closed immediately."""
    try:
        async with http.ws_connect(url, headers=headers) as websocket:
            return (await websocket.receive(timeout=60)).type is not aiohttp.WSMsgType.TEXT
    except aiohttp.WSServerHandshakeError:
        return True


class TestQueryParameters:
    @pytest.mark.parametrize(
        "query",
        [
            "",
            "?transport=polling",
            "?EIO=4",
            "?EIO=3&transport=polling",
            "?EIO=5&transport=polling",
            "?EIO=four&transport=polling",
            "?EIO=4&transport=carrier-pigeon",
            "?EIO=4&transport=websocket",
        ],
    )
    async def test_missing_or_invalid_parameter_is_bad_request(
        self, http: aiohttp.ClientSession, query: str
    ) -> None:
        assert await request(http, "GET", PATH + query) == 400

    @pytest.mark.parametrize("wrong", ["EIO=4&", "transport=polling&"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_parameters_are_mandatory_within_session(
        self, http: aiohttp.ClientSession, method: str, wrong: str
    ) -> None:
        url = await session(http)

        assert await request(http, method, url.replace(wrong, ""), "3") == 400
        assert await request(http, "POST", url, "3") == 200

    @pytest.mark.parametrize(
        "query", ["?transport=websocket", "?EIO=4", "?EIO=3&transport=websocket"]
    )
    async def test_websocket_without_parameters_is_closed(
        self, http: aiohttp.ClientSession, query: str
    ) -> None:
        assert await is_rejected(http, PATH + query)

    @pytest.mark.parametrize(
        "query",
        [
            "?EIO=4&transport=websocket",
            "?transport=websocket&EIO=4",
            "?EIO=4&transport=websocket&t=1",
        ],
    )
    async def test_order_of_parameters_does_not_matter(
        self, http: aiohttp.ClientSession, query: str
    ) -> None:
        async with http.ws_connect(PATH + query) as websocket:
            opened = await websocket.receive_str()

        assert opened.startswith("0")
        assert list(json.loads(opened[1:])) == [
            "sid",
            "upgrades",
            "pingInterval",
            "pingTimeout",
            "maxPayload",
        ]
        assert await is_rejected(http, PATH + query, Origin="http://mallory.example")

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    async def test_other_method_is_bad_request(
        self, http: aiohttp.ClientSession, method: str
    ) -> None:
        url = await session(http)

        assert await request(http, method, POLLING) == 400
        assert await request(http, method, url) == 400


class TestSendingData:
    async def test_unknown_session_is_bad_request(self, http: aiohttp.ClientSession) -> None:
        assert await request(http, "POST", POLLING + "&sid=nobody", "3") == 400
        assert await request(http, "POST", POLLING, "3") == 400

    async def test_accepted_request_is_answered_with_ok(self, http: aiohttp.ClientSession) -> None:
        url = await session(http)

        async with http.post(url, data="3") as answer:
            assert (answer.status, await answer.text()) == (200, "ok")

    async def test_concurrent_post_is_bad_request_and_ends_session(
        self, http: aiohttp.ClientSession, composition: Composition
    ) -> None:
        url = await session(http)
        more = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield b"3"
            await more.wait()

        async def send_slowly() -> None:
            async with http.post(url, data=slowly()) as answer:
                await answer.read()

        first = asyncio.create_task(send_slowly())
        connection = only_session(composition)
        while not connection.transport.is_posted:
            await asyncio.sleep(0)

        assert await request(http, "POST", url, "3") == 400
        more.set()
        await first
        assert await request(http, "POST", url, "3") == 400


class TestReceivingData:
    async def test_unknown_session_is_bad_request(self, http: aiohttp.ClientSession) -> None:
        assert await request(http, "GET", POLLING + "&sid=nobody") == 400

    async def test_concurrent_poll_is_bad_request_and_ends_session(
        self, http: aiohttp.ClientSession, composition: Composition
    ) -> None:
        url = await session(http)
        first = asyncio.create_task(poll(http, url))
        connection = only_session(composition)
        while not connection.transport.is_polled:
            await asyncio.sleep(0)

        assert await request(http, "GET", url) == 400
        assert await first == (200, "1")
        assert await request(http, "GET", url) == 400
        await until_empty(composition)


class TestWebSocket:
    async def test_second_websocket_of_session_is_closed_and_first_stays_open(
        self, http: aiohttp.ClientSession
    ) -> None:
        async with http.ws_connect(WEBSOCKET) as first:
            opened = json.loads((await first.receive_str(timeout=60))[1:])

            assert await is_rejected(http, f"{WEBSOCKET}&sid={opened['sid']}")

            await first.send_str(CONNECT)
            assert (await first.receive_str(timeout=60)).startswith("40{")

    async def test_websocket_of_unknown_session_is_closed(
        self, http: aiohttp.ClientSession
    ) -> None:
        assert await is_rejected(http, WEBSOCKET + "&sid=nobody")


class TestHandshake:
    @pytest.mark.parametrize(
        ("transport", "upgrades"), [("polling", ["websocket"]), ("websocket", [])]
    )
    async def test_open_packet_describes_session(
        self, http: aiohttp.ClientSession, transport: str, upgrades: list[str]
    ) -> None:
        if transport == "polling":
            _, opened = await poll(http, POLLING)
        else:
            async with http.ws_connect(WEBSOCKET) as websocket:
                opened = await websocket.receive_str(timeout=60)

        opened_session = json.loads(opened.removeprefix("0"))
        assert opened_session.pop("sid")
        assert opened_session == {
            "upgrades": upgrades,
            "pingInterval": 1000,
            "pingTimeout": 1000,
            "maxPayload": 65_536,
        }


class TestHeartbeat:
    async def test_client_that_answers_pings_is_pinged_again(
        self, http: aiohttp.ClientSession
    ) -> None:
        async with http.ws_connect(WEBSOCKET) as websocket:
            await websocket.receive_str(timeout=60)
            for _ in range(3):
                assert await websocket.receive_str(timeout=60) == "2"
                await websocket.send_str("3")

    async def test_client_that_answers_no_ping_is_disconnected(
        self, http: aiohttp.ClientSession, composition: Composition
    ) -> None:
        url = await session(http)
        async with http.ws_connect(WEBSOCKET) as websocket:
            await websocket.receive_str(timeout=60)
            assert await websocket.receive_str(timeout=60) == "2"

            assert (await websocket.receive(timeout=60)).type is aiohttp.WSMsgType.CLOSED
        await until_empty(composition)
        assert await request(http, "GET", url) == 400


class TestUpgrade:
    async def test_open_poll_gets_noop_and_probe_gets_pong(
        self, http: aiohttp.ClientSession
    ) -> None:
        url = await session(http)
        waiting = asyncio.create_task(poll(http, url))
        async with http.ws_connect(url.replace("polling", "websocket")) as websocket:
            await websocket.send_str("2probe")

            assert await websocket.receive_str(timeout=60) == "3probe"
            assert (await waiting)[1] in {"6", "2"}

    async def test_upgraded_session_continues_without_polling(
        self, http: aiohttp.ClientSession
    ) -> None:
        url = await session(http)
        async with http.ws_connect(url.replace("polling", "websocket")) as websocket:
            await websocket.send_str("2probe")
            await websocket.receive_str(timeout=60)
            await websocket.send_str("5")
            await websocket.send_str(CONNECT)
            assert (await websocket.receive_str(timeout=60)).startswith("40{")

            assert await request(http, "GET", url) == 400
            assert await request(http, "POST", url, "3") == 400
            assert await is_rejected(http, url.replace("polling", "websocket"))

            await websocket.send_str('427["join_room",{"room_id":"lobby"}]')
            while not (await websocket.receive_str(timeout=60)).startswith("437["):
                pass


class TestMessage:
    @pytest.mark.parametrize("packet", ["abc", "7", "9x", "2probe", "0{}"])
    async def test_invalid_packet_ends_session(
        self, http: aiohttp.ClientSession, composition: Composition, packet: str
    ) -> None:
        url = await session(http)
        async with http.ws_connect(WEBSOCKET) as websocket:
            await websocket.receive_str(timeout=60)

            await websocket.send_str(packet)
            await request(http, "POST", url, packet)

            assert (await websocket.receive(timeout=60)).type is aiohttp.WSMsgType.CLOSE
        await until_empty(composition)

    async def test_close_packet_ends_session(
        self, http: aiohttp.ClientSession, composition: Composition
    ) -> None:
        url = await session(http)
        async with http.ws_connect(WEBSOCKET) as websocket:
            await websocket.receive_str(timeout=60)
            await websocket.send_str("1")
            assert await request(http, "POST", url, "1") == 200
            assert (await websocket.receive(timeout=60)).type is aiohttp.WSMsgType.CLOSE
        await until_empty(composition)


class TestPacketEncoding:
    async def test_packets_of_one_request_are_separated_by_record_separator(
        self, http: aiohttp.ClientSession
    ) -> None:
        client = await FrameClient.open(str(http._base_url).rstrip("/"), "polling")

        await client.send_until([CONNECT, '421["join_room",{"room_id":"lobby"}]'], "431[")

        assert client.received[1].startswith("40{")
        await client.close()
