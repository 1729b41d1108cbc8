"""The chat over plain WebSockets: what is not the same as over Socket.IO (docs/wire.md)."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
from websockets.frames import Opcode

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from tests.e2e.clients import PythonClient, until
from tests.e2e.json_client import PATH
from tests.e2e.plain_websocket.shared import (
    LOBBY,
    SETTINGS,
    asked,
    json_client,
    plain,
    status_of_handshake,
)
from tests.e2e.raw_frames import RawFrames
from tests.e2e.serving import serving
from tests.tokens import token

pytestmark = pytest.mark.anyio


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
