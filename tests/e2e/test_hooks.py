"""Hooks of a FastAPI application, with real clients."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from fastapi import FastAPI

from socketio_app import (
    ConnectionClosed,
    ConnectionOpened,
    Hooks,
    Message,
    Person,
    Room,
    Settings,
    add_chat,
    create_socketio_app,
)
from tests.e2e.clients import Client, PythonClient, until
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

SETTINGS = Settings(secret_key=SECRET)
PERSISTENCE = ["memory://", "sqlite:///{tmp_path}/chat.db"]


@attrs.define
class Calls:
    """What hooks were called with, in order."""

    made: list[Any] = attrs.field(factory=list)

    async def call(self, argument: object) -> None:
        self.made.append(argument)

    async def until(self, met: Callable[[list[Any]], object]) -> None:
        async with asyncio.timeout(60):
            while not met(self.made):
                await asyncio.sleep(0.001)


@pytest.fixture
def calls() -> Calls:
    return Calls()


async def connect(url: str, user: str) -> Client:
    return await PythonClient().open(url, "websocket", {"auth": {"token": token(user)}})


@pytest.mark.parametrize("persistence", PERSISTENCE)
async def test_on_message_gets_each_message_in_order(
    calls: Calls, persistence: str, tmp_path: object
) -> None:
    api = FastAPI()
    settings = SETTINGS.replace(database_url=persistence.format(tmp_path=tmp_path))
    chat = add_chat(api, settings=settings, hooks=Hooks(on_message=calls.call))

    async with serving(api) as url:
        ada = await connect(url, "ada")
        await ada.call("join_room", {"room_id": "lobby"})
        for number in range(20):
            await ada.send("send_personal_message", {"to_user_id": "bob", "content": f"{number}"})
            await ada.send("send_group_message", {"room_id": "lobby", "content": f"{number}"})
        await chat.send("shop", Person("ada"), "Hello")
        await until(ada, "receive_personal_message")
        await calls.until(lambda made: len(made) == 41)
        await ada.close()

    messages: list[Message] = calls.made
    for target in ("bob", None):
        sent = [each for each in messages if each.to_user_id == target]
        assert [each.content for each in sent] == [f"{number}" for number in range(20)]
        assert [each.seq for each in sent] == list(range(1, 21))
    (from_host,) = [each for each in messages if each.from_user_id == "shop"]
    assert (from_host.to_user_id, from_host.content) == ("ada", "Hello")


async def test_retry_does_not_call_on_message_again(calls: Calls) -> None:
    api = FastAPI()
    add_chat(api, settings=SETTINGS, hooks=Hooks(on_message=calls.call))
    message = {"to_user_id": "bob", "content": "Hello", "client_message_id": "one"}

    async with serving(api) as url:
        ada = await connect(url, "ada")
        for _ in range(2):
            await ada.call("send_personal_message", message)
        await ada.call("send_personal_message", {"to_user_id": "bob", "content": "Last"})
        await calls.until(lambda made: len(made) >= 2)
        await ada.close()

    assert [each.content for each in calls.made] == ["Hello", "Last"]


async def test_acknowledgement_does_not_wait_for_a_hook() -> None:
    hangs = threading.Event()
    api = FastAPI()
    hooks = Hooks(on_message=lambda _: hangs.wait(), shutdown_seconds=0)
    add_chat(api, settings=SETTINGS, hooks=hooks)

    async with serving(api) as url:
        ada = await connect(url, "ada")
        sent = await ada.call("send_personal_message", {"to_user_id": "bob", "content": "Hello"})
        await ada.close()
    hangs.set()

    assert sent["ok"]


async def test_hook_may_send_a_message() -> None:
    api = FastAPI()

    async def answer(message: Message) -> None:
        if message.from_user_id == "ada":
            await chat.send("bot", Person("ada"), f"You said {message.content}")

    chat = add_chat(api, settings=SETTINGS, hooks=Hooks(on_message=answer))

    async with serving(api) as url:
        ada = await connect(url, "ada")
        await ada.call("send_personal_message", {"to_user_id": "bot", "content": "Hello"})
        received = await until(ada, "receive_personal_message")
        await ada.close()

    assert received["content"] == "You said Hello"


async def test_sync_hook_may_send_a_message_from_its_thread() -> None:
    api = FastAPI()

    def answer(message: Message) -> None:
        if message.from_user_id == "ada":
            chat.from_thread.send("bot", Person("ada"), f"You said {message.content}")

    chat = add_chat(api, settings=SETTINGS, hooks=Hooks(on_message=answer))

    async with serving(api) as url:
        ada = await connect(url, "ada")
        await ada.call("send_personal_message", {"to_user_id": "bot", "content": "Hello"})
        received = await until(ada, "receive_personal_message")
        await ada.close()

    assert received["content"] == "You said Hello"


async def test_failing_hook_affects_no_message(caplog: pytest.LogCaptureFixture) -> None:
    api = FastAPI()

    def fail(message: Message) -> None:
        raise ValueError(message.content)

    add_chat(api, settings=SETTINGS, hooks=Hooks(on_message=fail))

    async with serving(api) as url:
        ada, bob = await connect(url, "ada"), await connect(url, "bob")
        sent = await ada.call("send_personal_message", {"to_user_id": "bob", "content": "Secret"})
        received = await until(bob, "receive_personal_message")
        await ada.close()
        await bob.close()

    assert sent["ok"]
    assert received["content"] == "Secret"
    assert "hook failed (hook: on_message, reason: ValueError at" in caplog.text
    assert "Secret" not in caplog.text


async def test_connections_are_reported_in_order(calls: Calls) -> None:
    app = create_socketio_app(
        settings=SETTINGS, hooks=Hooks(on_connect=calls.call, on_disconnect=calls.call)
    )

    async with serving(app) as url:
        phone = await connect(url, "ada")
        laptop = await connect(url, "ada")
        await phone.close()
        await calls.until(lambda made: len(made) == 3)
        await laptop.close()
        await calls.until(lambda made: len(made) == 4)

    opened, closed = calls.made[:2], calls.made[2:]
    assert [type(each) for each in opened] == [ConnectionOpened] * 2
    assert [type(each) for each in closed] == [ConnectionClosed] * 2
    assert [each.user_id for each in calls.made] == ["ada"] * 4
    assert [each.is_first for each in opened] == [True, False]
    assert [each.is_last for each in closed] == [False, True]
    assert [each.connection_id for each in closed] == [each.connection_id for each in opened]


async def test_rejected_connection_is_not_reported(calls: Calls) -> None:
    settings = SETTINGS.replace(connections_per_user=1)
    hooks = Hooks(on_connect=calls.call, on_disconnect=calls.call)
    app = create_socketio_app(settings=settings, hooks=hooks)

    async with serving(app) as url:
        ada = await connect(url, "ada")
        with pytest.raises(Exception, match="connections"):
            await connect(url, "ada")
        await ada.close()

    assert [type(each) for each in calls.made] == [ConnectionOpened, ConnectionClosed]


async def test_connections_closed_at_shutdown_are_reported(calls: Calls) -> None:
    app = create_socketio_app(settings=SETTINGS, hooks=Hooks(on_disconnect=calls.call))

    async with serving(app) as url:
        ada = await connect(url, "ada")
        await ada.call("join_room", {"room_id": "lobby"})

    assert [each.user_id for each in calls.made] == ["ada"]
    await ada.close()


async def test_messages_before_shutdown_are_reported(calls: Calls) -> None:
    api = FastAPI()
    chat = add_chat(api, settings=SETTINGS, hooks=Hooks(on_message=calls.call))

    async with serving(api):
        await chat.join("ada", "lobby")
        for number in range(50):
            await chat.send("ada", Room("lobby"), f"{number}")

    assert [each.content for each in calls.made] == [f"{number}" for number in range(50)]


@pytest.mark.parametrize("persistence", PERSISTENCE)
async def test_on_undelivered_gets_messages_to_users_without_connection(
    calls: Calls, persistence: str, tmp_path: object
) -> None:
    api = FastAPI()
    settings = SETTINGS.replace(database_url=persistence.format(tmp_path=tmp_path))
    hooks = Hooks(on_undelivered=calls.call, undelivered_after_seconds=2)
    chat = add_chat(api, settings=settings, hooks=hooks)

    async with serving(api) as url:
        bob = await connect(url, "bob")
        await chat.join("ada", "lobby")
        await chat.send("ada", Person("bob"), "Online")
        await chat.send("ada", Room("lobby"), "In a room")
        await chat.send("ada", Person("eve"), "Offline")
        await calls.until(lambda made: made)
        await bob.close()

    assert [(each.to_user_id, each.content) for each in calls.made] == [("eve", "Offline")]
