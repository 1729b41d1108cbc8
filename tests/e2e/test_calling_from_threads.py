"""Calls to the chat from the host's threads work, or are rejected immediately."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import anyio.from_thread
import pytest
from fastapi import FastAPI

from socketio_app.application.commands import Actor, SendMessage
from socketio_app.application.home_loop import WrongEventLoopError
from socketio_app.domain.conversations import Person
from socketio_app.domain.identifiers import UserId
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.serving import serving
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

HELLO = (Actor(UserId("ada")), SendMessage(Person(UserId("bob")), "Hello"))

Call = Callable[[], Any]


@pytest.fixture
async def in_a_thread(tmp_path: Path) -> AsyncIterator[Callable[[str], Any]]:
    """Run one of the calls below in a `def` route of a host on SQLite."""
    host = FastAPI()
    settings = Settings(secret_key=SECRET, database_url=f"sqlite:///{tmp_path}/chat.db")
    app = create_socketio_app(host, settings=settings)
    chat = app.state.chat
    loop = asyncio.get_running_loop()

    async def send() -> Any:
        return await chat.execute(*HELLO)

    calls: dict[str, Call] = {
        "asyncio.run of the call": lambda: asyncio.run(chat.execute(*HELLO)),
        "asyncio.run of a function": lambda: asyncio.run(send()),
        "anyio.from_thread": lambda: anyio.from_thread.run(chat.execute, *HELLO).message.seq,
        "run_coroutine_threadsafe": lambda: (
            asyncio.run_coroutine_threadsafe(chat.execute(*HELLO), loop).result().message.seq
        ),
    }

    @host.get("/call")
    def call(name: str) -> dict[str, Any]:
        try:
            return {"seq": calls[name]()}
        except WrongEventLoopError as error:
            return {"rejected": str(error)}

    async with serving(app) as url, aiohttp.ClientSession(url) as http:

        async def ask(name: str) -> Any:
            async with http.get("/call", params={"name": name}) as answer:
                return await answer.json()

        yield ask


@pytest.mark.parametrize("name", ["asyncio.run of the call", "asyncio.run of a function"])
async def test_call_from_another_event_loop_is_rejected_with_instructions(
    in_a_thread: Callable[[str], Any], name: str
) -> None:
    answer = await in_a_thread(name)

    assert "anyio.from_thread.run(chat.execute, actor, command)" in answer["rejected"]


@pytest.mark.parametrize("name", ["anyio.from_thread", "run_coroutine_threadsafe"])
async def test_documented_call_from_thread_stores_message(
    in_a_thread: Callable[[str], Any], name: str
) -> None:
    assert await in_a_thread(name) == {"seq": 1}
