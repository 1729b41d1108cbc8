"""How long a connection may stay: expiry, refresh and disconnects by the host."""

import asyncio
import time

import pytest

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient, settled, until
from tests.e2e.engine_io.shared import until_empty
from tests.e2e.frame_client import Transport
from tests.e2e.limited_chat import Serve, open_client, serve, transport
from tests.e2e.serving import serving
from tests.tokens import token

__all__ = ["serve", "transport"]  # fixtures

pytestmark = pytest.mark.anyio


async def until_disconnected(client: PythonClient) -> str:
    """Wait until a client is disconnected; return the reason that it reports."""
    reason = str(await until(client, ":disconnect"))
    await client.close()
    return reason


class TestTokens:
    async def test_connection_is_warned_and_closed_when_token_expires(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(jwt_leeway_seconds=0) as (composition, url):
            ends = int(time.time()) + 5
            ada = await open_client(url, "ada", transport, exp=ends)

            connected = await until(ada, "connected")
            expiring = await until(ada, "token_expiring")
            await until_disconnected(ada)

            assert expiring["token_expires_at"] == connected["token_expires_at"]
            assert 0 < expiring["expires_in_ms"] <= 5000
            assert time.time() >= ends
            await until_empty(composition)

    async def test_refreshed_token_extends_connection(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve(jwt_leeway_seconds=0) as (_, url):
            ends = int(time.time()) + 5
            ada = await open_client(url, "ada", transport, exp=ends)

            answer = await ada.call("refresh_token", {"token": token("ada", exp=ends + 1)})
            await until_disconnected(ada)

            assert answer["ok"]
            assert answer["token_expires_at"] > (await until(ada, "connected"))["token_expires_at"]
            assert time.time() >= ends + 1

    async def test_refresh_with_token_of_another_user_is_rejected(self, serve: Serve) -> None:
        async with serve() as (_, url):
            ada = await open_client(url, "ada", "websocket")

            answer = await ada.call("refresh_token", {"token": token("bob")})

            assert answer["error"]["code"] == "unauthenticated"
            await ada.close()

    async def test_verify_token_can_use_timeouts_on_refresh(self) -> None:
        async def check(given: str) -> str:
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
            return given

        composition = compose(Settings(), verify_token=check)
        async with serving(application(composition)) as url:
            ada = await PythonClient().open(url, "websocket", {"auth": {"token": "ada"}})

            answer = await ada.call("refresh_token", {"token": "ada"})

            assert answer == {"ok": True, "token_expires_at": None}
            await ada.close()


class TestRevocation:
    async def test_host_can_disconnect_all_connections_of_user(self, serve: Serve) -> None:
        async with serve() as (composition, url):
            websocket = await open_client(url, "ada", "websocket")
            polling = await open_client(url, "ada", "polling")
            bob = await open_client(url, "bob", "websocket")

            composition.chat.disconnect_user("ada")

            # Unlike after a network failure, clients must not reconnect by themselves.
            assert await until_disconnected(websocket) == "server disconnect"
            assert await until_disconnected(polling) == "server disconnect"
            await settled(bob)
            await bob.close()
            await until_empty(composition)

    async def test_disconnected_user_gets_no_more_messages(
        self, serve: Serve, transport: Transport
    ) -> None:
        async with serve() as (composition, url):
            ada = await open_client(url, "ada", transport)
            bob = await open_client(url, "bob", "websocket")
            for member in (ada, bob):
                await member.call("join_room", {"room_id": "lobby"})

            composition.chat.disconnect_user("ada")
            await bob.call("send_group_message", {"room_id": "lobby", "content": "hello"})
            await until_disconnected(ada)

            assert ada.inbox.of("receive_group_message") == []
            await bob.close()
