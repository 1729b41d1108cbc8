"""The chat over plain WebSockets: what is not the same as over Socket.IO (docs/wire.md)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode
from websockets.typing import Subprotocol

from socketio_app.adapters.jsonsocket.session import MAX_REJECTED
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient, until
from tests.e2e.json_client import PATH, JsonClient
from tests.e2e.raw_frames import RawFrames
from tests.e2e.serving import serving
from tests.e2e.test_connection_lifecycle import SlowVerifier
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

SETTINGS = Settings(secret_key=SECRET, rate_limits=False, websocket_path=PATH)
LOBBY = {"room_id": "lobby"}
BROWSER: dict[str, Any] = {"subprotocols": [Subprotocol("bearer.ada")]}
HEADER: dict[str, Any] = {"additional_headers": {"Authorization": "Bearer ada"}}


@pytest.fixture
def composition() -> Composition:
    return compose(SETTINGS)


@pytest.fixture
async def url(composition: Composition) -> AsyncIterator[str]:
    async with serving(application(composition)) as base_url:
        yield base_url


@asynccontextmanager
async def json_client(url: str, user: str, **options: Any) -> AsyncIterator[JsonClient]:
    given = options or {"auth": {"token": token(user)}}
    client = await JsonClient().open(url, "websocket", given)
    try:
        await until(client, "connected")
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def plain(url: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A WebSocket over which nothing was sent."""
    async with connect(url.replace("http", "ws", 1) + PATH, ping_interval=None, **options) as found:
        yield found


async def asked(socket: ClientConnection, **request: Any) -> Any:
    await socket.send(json.dumps(request))
    return json.loads(await socket.recv())


async def received(socket: ClientConnection) -> None:
    """Wait until the server has read everything sent so far."""
    await (await socket.ping())


async def next_frames(socket: ClientConnection, count: int) -> list[Any]:
    return [json.loads(await socket.recv()) for _ in range(count)]


class TestAuthentication:
    async def test_token_of_the_connect_command(self, url: str) -> None:
        async with plain(url) as socket:
            payload = {"token": token("ada")}

            answer = await asked(socket, id=1, command="connect", payload=payload)

        assert (answer["id"], answer["ok"], answer["user_id"]) == (1, True, "ada")

    async def test_token_of_the_authorization_header(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {token('ada')}"}
        async with json_client(url, "ada", extraHeaders=headers) as ada:
            assert ada.inbox.of("connected")[0]["user_id"] == "ada"

    async def test_token_of_a_subprotocol(self, url: str) -> None:
        subprotocol = f"bearer.{token('ada')}"
        async with json_client(url, "ada", subprotocols=[subprotocol]) as ada:
            assert ada.inbox.of("connected")[0]["user_id"] == "ada"
            assert ada.socket.subprotocol == subprotocol

    async def test_connect_without_an_id_is_answered_with_the_event(self, url: str) -> None:
        async with plain(url) as socket:
            event = await asked(socket, command="connect", payload={"token": token("ada")})

        assert (event["event"], event["payload"]["user_id"]) == ("connected", "ada")

    async def test_another_token_may_follow_a_rejected_one(self, url: str) -> None:
        async with plain(url) as socket:
            rejected = await asked(socket, id="a", command="connect", payload={"token": "nonsense"})
            accepted = await asked(
                socket, id="b", command="connect", payload={"token": token("ada")}
            )

        assert (rejected["id"], rejected["error"]["code"]) == ("a", "unauthenticated")
        assert (accepted["id"], accepted["ok"]) == ("b", True)

    async def test_command_before_connect_is_rejected(self, url: str) -> None:
        async with plain(url) as socket:
            answer = await asked(socket, id=1, command="join_room", payload=LOBBY)

        assert answer["error"]["code"] == "unauthenticated"

    async def test_second_connect_is_rejected(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            answer = await ada.call("connect", {"token": token("ada")})

        assert answer["error"]["code"] == "invalid_payload"

    async def test_second_connect_while_the_handshakes_token_is_verified_is_rejected(self) -> None:
        verifier = SlowVerifier()
        composition = compose(SETTINGS, verify_token=verifier)
        async with serving(application(composition)) as url:
            async with plain(url, **BROWSER) as socket:
                await verifier.asked.wait()
                await socket.send('{"id":1,"command":"connect","payload":{"token":"ada"}}')
                await received(socket)
                verifier.answer.set()

                connected, answer = await next_frames(socket, 2)

                assert connected["payload"]["user_id"] == "ada"
                assert (answer["id"], answer["error"]["code"]) == (1, "invalid_payload")
                assert composition.chat.connection_count == 1
            async with asyncio.timeout(60):
                while composition.chat.connection_count:
                    await asyncio.sleep(0)

    async def test_pings_while_a_token_is_verified_are_no_rejections(self) -> None:
        verifier = SlowVerifier()
        async with serving(application(compose(SETTINGS, verify_token=verifier))) as url:
            async with plain(url) as socket:
                await socket.send('{"id":1,"command":"connect","payload":{"token":"ada"}}')
                await verifier.asked.wait()
                pongs = [await socket.ping() for _ in range(50)]
                await asyncio.gather(*pongs)
                verifier.answer.set()

                (answer,) = await next_frames(socket, 1)

        assert (answer["id"], answer["ok"]) == (1, True)

    async def test_endless_pings_before_authentication_close_the_connection(self, url: str) -> None:
        async with plain(url) as socket:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(1000):
                    await (await socket.ping())

        assert socket.close_code == 1008

    @pytest.mark.parametrize("handshake", [BROWSER, HEADER], ids=["subprotocol", "header"])
    async def test_commands_wait_while_the_handshakes_token_is_verified(
        self, handshake: dict[str, Any]
    ) -> None:
        verifier = SlowVerifier()
        async with serving(application(compose(SETTINGS, verify_token=verifier))) as url:
            async with plain(url, **handshake) as socket:
                await verifier.asked.wait()
                await socket.send('{"id":1,"command":"list_conversations"}')
                await socket.send('{"id":2,"command":"list_conversations"}')
                await received(socket)
                verifier.answer.set()

                connected, *answers = await next_frames(socket, 3)

        assert connected["payload"]["user_id"] == "ada"
        assert [(answer["id"], answer["ok"]) for answer in answers] == [(1, True), (2, True)]

    async def test_commands_that_waited_for_a_rejected_token_are_rejected(self) -> None:
        verifier = SlowVerifier()
        async with serving(application(compose(SETTINGS, verify_token=verifier))) as url:
            async with plain(url, subprotocols=[Subprotocol("bearer.")]) as socket:
                await verifier.asked.wait()
                await socket.send('{"id":1,"command":"list_conversations"}')
                await socket.send('{"id":2,"command":"connect","payload":{"token":"ada"}}')
                await received(socket)
                verifier.answer.set()

                error, rejected, connected = await next_frames(socket, 3)

        assert (error["event"], error["payload"]["code"]) == ("error", "unauthenticated")
        assert (rejected["id"], rejected["error"]["code"]) == (1, "unauthenticated")
        assert (connected["id"], connected["user_id"]) == (2, "ada")

    async def test_commands_wait_while_the_token_of_connect_is_verified(self) -> None:
        verifier = SlowVerifier()
        async with serving(application(compose(SETTINGS, verify_token=verifier))) as url:
            async with plain(url) as socket:
                await socket.send('{"id":1,"command":"connect","payload":{"token":"ada"}}')
                await verifier.asked.wait()
                await socket.send('{"id":2,"command":"list_conversations"}')
                await received(socket)
                verifier.answer.set()

                connected, answer = await next_frames(socket, 2)

        assert (connected["id"], connected["user_id"]) == (1, "ada")
        assert (answer["id"], answer["ok"]) == (2, True)

    async def test_authorization_header_without_a_bearer_token_is_rejected(self, url: str) -> None:
        async with plain(url, additional_headers={"Authorization": "Basic YWRhOg=="}) as socket:
            (error,) = await next_frames(socket, 1)

        assert (error["event"], error["payload"]["code"]) == ("error", "unauthenticated")

    async def test_rejection_before_connect_names_the_command(self, url: str) -> None:
        async with plain(url) as socket:
            error = await asked(socket, command="join_room", payload=LOBBY)

        assert (error["event"], error["payload"]["command"]) == ("error", "join_room")

    async def test_many_rejections_before_connect_close_the_connection(self, url: str) -> None:
        async with plain(url) as socket:
            for _ in range(MAX_REJECTED + 1):
                await socket.send('{"command":"join_room"}')
            with contextlib.suppress(ConnectionClosed):
                await socket.wait_closed()

        assert socket.close_code == 1008

    async def test_client_that_does_not_connect_is_disconnected(self) -> None:
        settings = SETTINGS.replace(connect_timeout_seconds=0.1)
        async with serving(application(compose(settings))) as url, plain(url) as socket:
            with pytest.raises(ConnectionClosed):
                await socket.recv()

        assert socket.close_code == 1008

    async def test_client_that_closes_while_it_connects_leaves_no_state(
        self, url: str, composition: Composition
    ) -> None:
        async with plain(url) as socket:
            await socket.send(json.dumps({"command": "connect", "payload": {"token": token("a")}}))

        async with asyncio.timeout(60):
            while composition.chat.connection_count:
                await asyncio.sleep(0)


class TestFrames:
    @pytest.mark.parametrize(
        "text",
        [
            "{",
            "[]",
            "1",
            "null",
            '{"id":1}',
            '{"id":1.5,"command":"join_room"}',
            '{"id":1,"command":7}',
            '{"id":"%s","command":"join_room"}' % ("x" * 65),
            "[" * 30_000,
            '{"command":"\\ud800"}',
            '{"id":1,"command":"join_room","payload":{"room_id":"\\ud800"}}',
        ],
    )
    async def test_malformed_frame_is_an_error_and_the_connection_continues(
        self, url: str, text: str
    ) -> None:
        async with json_client(url, "ada") as ada:
            await ada.socket.send(text)

            assert (await until(ada, "error"))["code"] == "invalid_payload"
            assert (await ada.call("join_room", LOBBY))["ok"]

    async def test_binary_frame_is_an_error_and_the_connection_continues(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            await ada.socket.send(b'{"command":"join_room"}')

            assert (await until(ada, "error"))["code"] == "invalid_payload"
            assert (await ada.call("join_room", LOBBY))["ok"]

    @pytest.mark.parametrize("payload", [[], 1, None, {"room_id": 1}, {}])
    async def test_wrong_payload_is_rejected(self, url: str, payload: Any) -> None:
        async with json_client(url, "ada") as ada:
            answer = await ada.call("join_room", payload)

            assert answer["error"]["code"] == "invalid_payload"

    async def test_id_may_be_a_whole_number_with_a_fraction(self, url: str) -> None:
        async with plain(url) as socket:
            await asked(socket, id=1, command="connect", payload={"token": token("ada")})
            await socket.send('{"id":7.0,"command":"list_conversations"}')
            answer = await socket.recv()

        assert str(answer).startswith('{"id":7,"ok":true,')

    async def test_payload_that_is_null_is_as_if_it_was_left_out(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            assert (await ada.call("list_conversations", None))["ok"]

    @pytest.mark.parametrize("wrong", ["true", "1.5", "1e300", "[1]"])
    async def test_error_of_a_wrong_id_names_it(self, url: str, wrong: str) -> None:
        async with json_client(url, "ada") as ada:
            await ada.socket.send(f'{{"id":{wrong},"command":"list_conversations"}}')
            error = await until(ada, "error")

        assert (error["code"], error["field"]) == ("invalid_payload", "id")

    async def test_unknown_command_is_rejected(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            assert (await ada.call("nonsense"))["error"]["code"] == "unknown_command"

    async def test_rejection_without_an_id_is_an_event_naming_the_command(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            post = {**LOBBY, "content": "hello", "client_message_id": "mine"}
            await ada.send("send_group_message", post)

            error = await until(ada, "error")

        assert error["code"] == "not_a_member"
        assert (error["command"], error["client_message_id"]) == ("send_group_message", "mine")

    async def test_frame_over_the_limit_closes_the_connection(self, url: str) -> None:
        async with json_client(url, "ada") as ada:
            await ada.socket.send("x" * 70_000)

            assert await until(ada, ":disconnect") == 1009


async def test_clients_of_both_transports_share_rooms_and_messages(url: str) -> None:
    async with json_client(url, "ada") as ada, AsyncExitStack() as stack:
        bob = await PythonClient().open(url, "websocket", {"auth": {"token": token("bob")}})
        stack.push_async_callback(bob.close)
        for client in (ada, bob):
            assert (await client.call("join_room", LOBBY))["ok"]

        sent = await ada.call("send_group_message", {**LOBBY, "content": "from Ada"})
        assert await until(bob, "receive_group_message") == sent["message"]
        sent = await bob.call("send_group_message", {**LOBBY, "content": "from Bob"})
        assert await until(ada, "receive_group_message") == sent["message"]

        sent = await bob.call("send_personal_message", {"to_user_id": "ada", "content": "hello"})
        assert await until(ada, "receive_personal_message") == sent["message"]
        delivered = await until(bob, "personal_message_delivered")
        assert delivered["message_id"] == sent["message"]["message_id"]


async def test_devices_of_one_user_on_both_transports_see_the_same(url: str) -> None:
    async with json_client(url, "ada") as desk, AsyncExitStack() as stack:
        phone = await PythonClient().open(url, "polling", {"auth": {"token": token("ada")}})
        stack.push_async_callback(phone.close)
        assert (await desk.call("join_room", LOBBY))["ok"]

        sent = await desk.call("send_group_message", {**LOBBY, "content": "hello"})

        assert await until(phone, "receive_group_message") == sent["message"]


async def test_client_that_does_not_answer_pings_is_disconnected() -> None:
    settings = SETTINGS.replace(ping_interval_seconds=1, ping_timeout_seconds=1)
    composition = compose(settings)
    async with serving(application(composition)) as url, plain(url) as socket:
        await asked(socket, id=1, command="connect", payload={"token": token("ada")})
        socket.transport.pause_reading()

        async with asyncio.timeout(60):
            while composition.chat.connection_count:
                await asyncio.sleep(0.01)


async def test_only_answer_to_a_ping_confirms_delivery(url: str) -> None:
    message = {"to_user_id": "ada", "content": "Hello"}
    async with json_client(url, "bob") as bob, RawFrames.open(url, PATH) as ada:
        connect_ada = {"command": "connect", "payload": {"token": token("ada")}}
        ada.send(json.dumps(connect_ada))
        await ada.receive_until('{"event":"connected"')
        await bob.call("send_personal_message", message)
        while (frame := await ada.receive()) is not None and frame[0] is not Opcode.PING:
            pass
        assert frame is not None

        ada.send(b"", Opcode.PONG)
        ada.send(b"read", Opcode.PING)
        assert await ada.receive() == (Opcode.PONG, b"read")
        for _ in range(3):
            await bob.call("made_up", {})
        assert not bob.inbox.of("personal_message_delivered")

        ada.send(frame[1], Opcode.PONG)
        await until(bob, "personal_message_delivered")


async def test_drain_closes_connections_so_that_clients_reconnect(
    url: str, composition: Composition
) -> None:
    async with json_client(url, "ada") as ada:
        await composition.drain(0)

        assert await until(ada, ":disconnect") == 1012
        assert await status_of_handshake(url) == 503


async def test_user_that_is_disconnected_gets_a_policy_violation(
    url: str, composition: Composition
) -> None:
    async with json_client(url, "ada") as ada:
        composition.chat.disconnect_user("ada")

        assert await until(ada, ":disconnect") == 1008


async def status_of_handshake(url: str, **headers: str) -> int:
    try:
        async with plain(url, additional_headers=headers):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


async def test_web_origin_that_is_not_allowed_is_rejected(url: str) -> None:
    assert await status_of_handshake(url, Origin="http://elsewhere") == 403
    assert await status_of_handshake(url, Origin=url) == 101


async def test_rejected_web_origins_are_logged_at_a_limited_rate(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await status_of_handshake(url, Origin="http://elsewhere")

    lines = [line.message for line in caplog.records if "web origin" in line.message]
    assert lines == ["refused a web origin: http://elsewhere"]


async def test_too_many_handshakes_from_an_address_are_rejected() -> None:
    settings = Settings(secret_key=SECRET, websocket_path=PATH, handshakes_per_address=1)
    async with serving(application(compose(settings))) as url:
        statuses = {await status_of_handshake(url) for _ in range(60)}

    assert statuses == {101, 429}


async def test_server_without_takeover_rejects_the_handshake() -> None:
    app = application(compose(SETTINGS))
    async with serving(app, "websockets-sansio") as url:
        assert await status_of_handshake(url) == 501


async def test_without_a_path_there_is_no_plain_websocket() -> None:
    app = application(compose(SETTINGS.replace(websocket_path="")))
    async with serving(app) as url:
        assert await status_of_handshake(url) in {403, 404}


async def test_get_request_is_not_found(url: str) -> None:
    async with aiohttp.ClientSession(url) as http, http.get(PATH) as answer:
        assert answer.status in {404, 405}
