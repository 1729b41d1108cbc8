"""Calls to the chat from anywhere in the host work, or are rejected immediately."""

import asyncio
import multiprocessing
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import anyio.from_thread
import pytest
from fastapi import BackgroundTasks, FastAPI
from starlette.applications import Starlette

from socketio_app import (
    Actor,
    Chat,
    ChatError,
    Person,
    Room,
    SendMessage,
    Settings,
    WrongEventLoopError,
    create_socketio_app,
)
from socketio_app.domain.identifiers import UserId
from tests.databases import postgres_database
from tests.e2e.clients import Client, clients, until
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

ADA_TO_BOB = ("ada", Person("bob"), "Hello")
COMMAND = (Actor(UserId("ada")), SendMessage(Person(UserId("bob")), "Hello"))

Call = Callable[[Chat], Any]
Ask = Callable[[str], Awaitable[Any]]


def in_a_thread(call: Callable[[], Any]) -> Any:
    """Run a function in a thread that neither the server nor asyncio knows."""
    outcomes: list[Any] = []

    def run() -> None:
        try:
            outcomes.append(call())
        except Exception as error:  # noqa: BLE001  (raised in the calling thread)
            outcomes.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(outcomes[0], Exception):
        raise outcomes[0]
    return outcomes[0]


WORKING: dict[str, Call] = {
    "from_thread": lambda chat: chat.from_thread.send(*ADA_TO_BOB).message.seq,
    "from_thread, execute": lambda chat: chat.from_thread.execute(*COMMAND).message.seq,
    "from_thread in a plain thread": lambda chat: in_a_thread(
        lambda: chat.from_thread.send(*ADA_TO_BOB).message.seq
    ),
    "anyio.from_thread": lambda chat: anyio.from_thread.run(chat.execute, *COMMAND).message.seq,
}
"""Calls in a `def` route that send a message, and return its `seq`."""


async def _send(chat: Chat) -> Any:
    return await chat.send(*ADA_TO_BOB)


REJECTED: dict[str, Call] = {
    "asyncio.run of execute": lambda chat: asyncio.run(chat.execute(*COMMAND)),
    "asyncio.run of send": lambda chat: asyncio.run(chat.send(*ADA_TO_BOB)),
    "asyncio.run of a function": lambda chat: asyncio.run(_send(chat)),
    "asyncio.run in a plain thread": lambda chat: in_a_thread(lambda: asyncio.run(_send(chat))),
}
"""Calls in a `def` route that would hang if they were not rejected."""


def outcome(call: Callable[[], Any]) -> dict[str, Any]:
    """Return what a call returned or raised, as the answer of a route."""
    try:
        return {"seq": call()}
    except WrongEventLoopError as error:
        return {"rejected": str(error)}
    except ChatError as error:
        return {"code": error.code, "message": error.message}


def host_app() -> FastAPI:
    """Return a host with a route for each kind of code that may call the chat."""
    api = FastAPI()

    @api.get("/def")
    def def_route(name: str) -> dict[str, Any]:
        return outcome(lambda: (WORKING | REJECTED)[name](api.state.chat))

    @api.get("/async")
    async def async_route() -> dict[str, Any]:
        try:
            return {"seq": (await api.state.chat.send(*ADA_TO_BOB)).message.seq}
        except ChatError as error:
            return {"code": error.code, "message": error.message}

    @api.get("/async-from-thread")
    async def async_route_from_thread() -> dict[str, Any]:
        return outcome(lambda: api.state.chat.from_thread.send(*ADA_TO_BOB).message.seq)

    @api.get("/background")
    async def background(tasks: BackgroundTasks, kind: str) -> None:
        def in_the_background() -> None:
            api.state.chat.from_thread.send(*ADA_TO_BOB)

        async def in_an_async_background() -> None:
            await api.state.chat.send(*ADA_TO_BOB)

        tasks.add_task(in_an_async_background if kind == "async" else in_the_background)

    return api


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def app(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Starlette]:
    async with AsyncExitStack() as stack:
        urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/chat.db"}
        url = urls.get(request.param) or await stack.enter_async_context(postgres_database())
        settings = Settings(secret_key=SECRET, database_url=url)
        yield create_socketio_app(host_app(), settings=settings)


@pytest.fixture
async def url(app: Starlette) -> AsyncIterator[str]:
    async with serving(app) as url:
        yield url


@pytest.fixture
async def bob(url: str) -> AsyncIterator[Client]:
    async with clients(url, bob="websocket") as (client,):
        yield client


async def get(url: str, path: str, **parameters: str) -> Any:
    async with aiohttp.ClientSession(url) as http, http.get(path, params=parameters) as answer:
        return await answer.json()


@pytest.mark.parametrize("name", WORKING)
async def test_call_from_a_thread_sends_the_message(url: str, bob: Client, name: str) -> None:
    assert await get(url, "/def", name=name) == {"seq": 1}
    await until(bob, "receive_personal_message")


@pytest.mark.parametrize("name", REJECTED)
async def test_call_from_another_event_loop_is_rejected_with_instructions(
    url: str, name: str
) -> None:
    answer = await get(url, "/def", name=name)

    assert "chat.from_thread.send(...)" in answer["rejected"]
    assert "anyio.from_thread.run(chat.execute, actor, command)" in answer["rejected"]


async def test_async_route_sends_the_message(url: str, bob: Client) -> None:
    assert await get(url, "/async") == {"seq": 1}
    await until(bob, "receive_personal_message")


@pytest.mark.parametrize("kind", ["async", "def"])
async def test_background_task_sends_the_message(url: str, bob: Client, kind: str) -> None:
    await get(url, "/background", kind=kind)

    await until(bob, "receive_personal_message")


async def test_blocking_call_in_the_event_loop_is_rejected(url: str) -> None:
    answer = await get(url, "/async-from-thread")

    assert "await the chat's own methods" in answer["rejected"]


async def test_thread_of_the_host_uses_all_methods(app: Starlette, url: str) -> None:
    chat: Chat = app.state.chat

    def call() -> list[Any]:
        lobby, blocking = Room("lobby"), chat.from_thread
        joined = blocking.join("ada", "lobby").joined
        sent = blocking.send("ada", lobby, "Hello", client_message_id="1").message
        blocking.start_typing("ada", lobby)
        blocking.stop_typing("ada", lobby)
        read = blocking.mark_read("ada", lobby, 1).read_seq
        page = blocking.history("ada", lobby, limit=5).messages
        found = blocking.conversations("ada").conversations
        left = blocking.leave("ada", "lobby").left
        return [joined, [sent] == list(page), read, len(found), left]

    assert await asyncio.to_thread(call) == [True, True, 1, 1, True]


async def test_errors_of_a_call_from_a_thread_are_those_of_the_chat(
    app: Starlette, url: str
) -> None:
    chat: Chat = app.state.chat

    with pytest.raises(ChatError, match="not in room") as caught:
        await asyncio.to_thread(lambda: chat.from_thread.send("ada", Room("lobby"), "Hello"))
    assert caught.value.code == "not_a_member"


async def test_thread_disconnects_a_user_in_the_chats_event_loop(
    app: Starlette, bob: Client
) -> None:
    chat: Chat = app.state.chat
    asyncio.get_running_loop().set_debug(True)  # detects what is not safe in threads

    await asyncio.to_thread(chat.disconnect_user, "bob")

    await until(bob, ":disconnect")


async def test_user_cannot_be_disconnected_by_a_process_without_the_chat(app: Starlette) -> None:
    chat: Chat = app.state.chat

    with pytest.raises(ChatError, match="call a route of the application"):
        chat.disconnect_user("bob")


@pytest.mark.parametrize("path", ["/async", "/def"])
async def test_call_without_the_lifespan_is_rejected(app: Starlette, path: str) -> None:
    async with serving(app, lifespan="off") as url:
        answer = await get(url, path, name="from_thread")

    assert answer["code"] == "unavailable"
    assert "the application's lifespan has not run" in answer["message"]


@pytest.mark.parametrize("path", ["/async", "/def"])
async def test_call_after_shutdown_is_rejected(app: Starlette, path: str) -> None:
    async with serving(app) as url:
        assert await get(url, path, name="from_thread") == {"seq": 1}

    async with serving(app, lifespan="off") as url:
        answer = await get(url, path, name="from_thread")

    assert answer["code"] == "unavailable"
    assert "shutting down" in answer["message"]


def test_call_from_a_thread_after_the_loop_was_closed_is_rejected(app: Starlette) -> None:
    chat: Chat = app.state.chat

    async def run() -> None:
        async with app.router.lifespan_context(app):
            await chat.send(*ADA_TO_BOB)

    in_a_thread(lambda: asyncio.run(run()))

    with pytest.raises(ChatError, match="event loop of the chat has ended"):
        chat.from_thread.send(*ADA_TO_BOB)


def _call_in_a_fork(chat: Chat, outcomes: Any) -> None:
    for call in (
        lambda: asyncio.run(_send(chat)),
        lambda: chat.from_thread.send(*ADA_TO_BOB),
    ):
        try:
            call()
        except ChatError as error:
            outcomes.put(error.message)


async def test_call_from_another_process_is_rejected_with_instructions(
    app: Starlette, url: str
) -> None:
    """As in a worker of a task queue that forks from a process which serves the application."""
    context = multiprocessing.get_context("fork")
    outcomes = context.Queue()
    process = context.Process(target=_call_in_a_fork, args=(app.state.chat, outcomes))

    process.start()
    messages = [await asyncio.to_thread(outcomes.get, timeout=60) for _ in range(2)]
    await asyncio.to_thread(process.join)

    assert all("call a route of the application" in message for message in messages)
