"""How a client authenticates over a plain WebSocket (docs/wire.md)."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from socketio_app.adapters.jsonsocket.session import MAX_REJECTED
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from tests.e2e.plain_websocket.shared import (
    BROWSER,
    HEADER,
    LOBBY,
    SETTINGS,
    asked,
    json_client,
    next_frames,
    plain,
    received,
)
from tests.e2e.serving import serving
from tests.e2e.test_connection_lifecycle import SlowVerifier
from tests.tokens import token

pytestmark = pytest.mark.anyio


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
