"""Connections that end while they open, and servers that end."""

import asyncio

import pytest

from socketio_app.application.commands import Actor, SendMessage
from socketio_app.domain.conversations import Person
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import UserId
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient, until
from tests.e2e.raw_client import raw_polling
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

SETTINGS = Settings(secret_key=SECRET, rate_limits=False)


class SlowVerifier:
    """A `verify_token` that returns when the test allows it to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def __call__(self, given: str) -> str:
        self.asked.set()
        await self.answer.wait()
        return given


def is_empty(composition: Composition) -> bool:
    """Return whether no state of any connection is left."""
    hub, server = composition.server._services.registry.hub, composition.server
    return not (
        hub._subscribers
        or hub._audiences
        or hub._rooms
        or hub._paused
        or composition.chat.connection_count
        or composition.chat._connections._opening
        or composition.chat.sessions._tokens._tokens
        or server.context.connect_timeout._deadlines
        or any(server.context.heartbeat._slots)
        or server.context.sessions
    )


async def test_polling_client_that_closes_during_authentication_leaves_no_session() -> None:
    verifier = SlowVerifier()
    composition = compose(SETTINGS, verify_token=verifier)
    async with serving(application(composition)) as base_url:
        async with raw_polling(base_url) as polling:
            connecting = asyncio.create_task(polling.post('40{"token":"ada"}'))
            await verifier.asked.wait()
            leaving = asyncio.create_task(polling.post("1"))
            verifier.answer.set()
            await asyncio.gather(connecting, leaving)

        assert is_empty(composition)


async def test_closed_client_leaves_no_state() -> None:
    composition = compose(SETTINGS)
    async with serving(application(composition)) as base_url:
        for transport in ("polling", "websocket", "upgrade"):
            options = {"auth": {"token": token("ada")}}
            client = await PythonClient().open(base_url, transport, options)
            await client.call("join_room", {"room_id": "lobby"})
            await client.close()
            async with asyncio.timeout(60):
                while not is_empty(composition):
                    await asyncio.sleep(0)


async def test_packets_of_concurrent_polling_requests_keep_their_order() -> None:
    composition = compose(SETTINGS)
    async with serving(application(composition)) as base_url, raw_polling(base_url) as polling:
        await polling.post("40" + '{"token":"%s"}' % token("ada"))
        packets = [
            f'42{number}["send_personal_message",{{"to_user_id":"bob","content":"{number}"}}]'
            for number in range(200)
        ]

        await polling.post(*packets)
        answers: list[str] = []
        while len(answers) < 200:
            answers += [packet for packet in await polling.get() if packet.startswith("43")]

    assert [answer.partition("[")[0] for answer in answers] == [f"43{n}" for n in range(200)]


async def test_server_shutdown_disconnects_clients_and_rejects_commands() -> None:
    composition = compose(SETTINGS)
    async with serving(application(composition)) as base_url:
        ada = await PythonClient().open(base_url, "websocket", {"auth": {"token": token("ada")}})

        await composition.stop()

        await until(ada, ":disconnect")
        with pytest.raises(Unavailable):
            await composition.chat.execute(
                Actor(UserId("ada")), SendMessage(Person(UserId("bob")), "hello")
            )
        await ada.close()
