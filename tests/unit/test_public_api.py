"""What an application may import, and how it calls the chat."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from socketio_app import Chat, NotAMember, Person, Room, Settings, chat_of, get_chat
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from tests.tokens import SECRET

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.anyio


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    composition = compose(Settings(secret_key=SECRET))
    await composition.start()
    yield composition.chat
    await composition.stop()
    await composition.close()


def test_examples_of_the_readme_import_public_names_only() -> None:
    imports = re.findall(
        r"^from (socketio_app[\w.]*) import", (ROOT / "README.md").read_text(), re.M
    )

    assert imports
    assert set(imports) == {"socketio_app"}


async def test_methods_execute_commands_for_users_given_as_strings(chat: Chat) -> None:
    joined = await chat.join("ada", "lobby")
    sent = await chat.send("ada", Room("lobby"), "hello", client_message_id="1")
    again = await chat.send("ada", Room("lobby"), "hello", client_message_id="1")
    await chat.start_typing("ada", Room("lobby"))
    await chat.stop_typing("ada", Room("lobby"))
    read = await chat.mark_read("ada", Room("lobby"), 1)
    page = await chat.history("ada", Room("lobby"), limit=1)
    listed = await chat.conversations("ada")
    left = await chat.leave("ada", "lobby")

    assert (joined.joined, left.left, read.read_seq) == (True, True, 1)
    assert (again.duplicate, again.message) == (True, sent.message)
    assert list(page.messages) == [sent.message]
    assert listed.conversations[0].last_message == sent.message


async def test_method_raises_what_the_command_raises(chat: Chat) -> None:
    with pytest.raises(NotAMember):
        await chat.send("ada", Room("lobby"), "hello")


async def test_personal_message_by_method(chat: Chat) -> None:
    sent = await chat.send("ada", Person("bob"), "hello")

    assert (sent.message.from_user_id, sent.message.to_user_id) == ("ada", "bob")


@pytest.mark.parametrize("customer", [7, UUID(int=7)], ids=str)
async def test_integers_and_uuids_are_user_ids(chat: Chat, customer: int | UUID) -> None:
    sent = await chat.send("shop", Person(customer), "hello")
    page = await chat.history(customer, Person("shop"))

    assert sent.message.to_user_id == str(customer)
    assert list(page.messages) == [sent.message]


async def test_chat_is_found_on_the_application_and_its_host() -> None:
    host = Starlette()
    composition = compose(Settings(secret_key=SECRET))

    app = application(composition, host)

    assert chat_of(app) is chat_of(host) is composition.chat
    assert get_chat(Request({"type": "http", "app": host})) is composition.chat
    assert isinstance(composition.chat, Chat)


async def test_application_without_a_chat_says_so() -> None:
    with pytest.raises(LookupError, match="pass it to create_socketio_app"):
        chat_of(Starlette())


def test_chat_is_created_before_the_garbage_collector_has_run() -> None:
    # Classes with slots replace the ones that they are made from, which stay until they are freed.
    created = subprocess.run(
        [sys.executable, "-c", _CREATE_WITHOUT_COLLECTING], capture_output=True, check=False
    )

    assert (created.returncode, created.stderr.decode()) == (0, "")


_CREATE_WITHOUT_COLLECTING = f"""
import gc
gc.disable()

from socketio_app import create_socketio_app
create_socketio_app(settings={{"SECRET_KEY": "{"x" * 40}", "DATABASE_URL": "sqlite:///unused.db"}})
"""
