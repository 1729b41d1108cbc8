"""A client sends without waiting for acknowledgements, and the messages share transactions."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.databases import postgres_database
from tests.e2e.json_client import PATH
from tests.e2e.raw_client import RawWebSocket, raw_websocket
from tests.e2e.serving import serving_in_a_thread
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/chat.db"
    else:
        async with postgres_database() as url:
            yield url


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"])
def serve(request: pytest.FixtureRequest, database_url: str) -> Callable[..., Any]:
    @contextmanager
    def serve(**settings: Any) -> Iterator[str]:
        settings = {"rate_limits": False, **settings}
        given = Settings(secret_key=SECRET, database_url=database_url, **settings)
        with serving_in_a_thread(create_socketio_app(settings=given), request.param) as base_url:
            yield base_url

    return serve


def send_all(user: RawWebSocket, commands: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Send commands at once; return their answers in the order in which they came."""
    for ack_id, (name, payload) in enumerate(commands, 1):
        user.send(f"42{ack_id}" + json.dumps([name, payload], separators=(",", ":")))
    answers: list[tuple[int, Any]] = []
    while len(answers) < len(commands):
        frame = str(user.receive())
        if frame.startswith("43"):
            digits, encoded = frame[2:].split("[", 1)
            answers.append((int(digits), json.loads("[" + encoded)[0]))
    assert [ack_id for ack_id, _ in answers] == list(range(1, len(commands) + 1))
    return [answer for _, answer in answers]


def received(user: RawWebSocket, count: int) -> list[str]:
    """Return the contents of the next messages."""
    contents: list[str] = []
    while len(contents) < count:
        frame = str(user.receive())
        if frame.startswith("42"):
            name, payload = json.loads(frame[2:])
            if name.startswith("receive_"):
                contents.append(payload["content"])
    return contents


def to_bob(content: str, **more: str) -> tuple[str, dict[str, Any]]:
    return "send_personal_message", {"to_user_id": "bob", "content": content, **more}


def test_answers_and_messages_are_in_order_and_each_error_is_its_own(
    serve: Callable[..., Any],
) -> None:
    with serve() as url, raw_websocket(url, "ada") as ada, raw_websocket(url, "bob") as bob:
        bob.ask('["join_room",{"room_id":"lobby"}]')

        answers = send_all(
            ada,
            [
                ("join_room", {"room_id": "lobby"}),
                to_bob("1", client_message_id="m1"),
                to_bob("again", client_message_id="m1"),
                to_bob("1", client_message_id="m1"),
                to_bob(" "),
                to_bob("2"),
                ("send_group_message", {"room_id": "lobby", "content": "3"}),
                to_bob("4"),
                ("send_group_message", {"room_id": "nowhere", "content": "never"}),
                ("no_such_command", {}),
                to_bob("5"),
                ("fetch_history", {"to_user_id": "bob"}),
                to_bob("6"),
            ],
        )

        codes = [each.get("error", {}).get("code") for each in answers]
        page = [each["content"] for each in answers[11]["messages"]]
        assert codes == [
            *[None, None, "conflict", None, "invalid_payload", None, None, None],
            *["not_a_member", "unknown_command", None, None, None],
        ]
        assert [answers[1]["duplicate"], answers[3]["duplicate"]] == [False, True]
        assert answers[3]["message"] == answers[1]["message"]
        assert page == ["1", "2", "4", "5"]
        assert received(bob, 6) == ["1", "2", "3", "4", "5", "6"]


def test_many_messages_to_several_users_keep_their_order(serve: Callable[..., Any]) -> None:
    with serve() as url, raw_websocket(url, "ada") as ada, raw_websocket(url, "bob") as bob:
        commands = [to_bob(str(number)) for number in range(300)]

        answers = send_all(ada, commands)

        assert [each["message"]["seq"] for each in answers] == list(range(1, 301))
        assert received(bob, 300) == [str(number) for number in range(300)]


def test_messages_over_the_rate_are_rejected_in_order(serve: Callable[..., Any]) -> None:
    rates = {"rate_limits": True, "rate_burst_seconds": 5.0, "rate_send_per_connection": 1}
    with serve(**rates) as url, raw_websocket(url, "ada") as ada:
        answers = send_all(ada, [to_bob(str(number)) for number in range(8)])

        codes = [each.get("error", {}).get("code") for each in answers]
        assert codes[:5] == [None] * 5
        assert set(codes[5:]) == {"rate_limited"}


def test_messages_of_a_client_that_leaves_at_once_are_stored(serve: Callable[..., Any]) -> None:
    with serve() as url, raw_websocket(url, "bob") as bob:
        with raw_websocket(url, "ada") as ada:
            for number in range(40):
                ada.send("42" + json.dumps(to_bob(str(number)), separators=(",", ":")))

        assert received(bob, 40) == [str(number) for number in range(40)]


def test_answers_over_a_plain_websocket_are_in_order(tmp_path: Path) -> None:
    settings = Settings(
        secret_key=SECRET, database_url=f"sqlite:///{tmp_path}/chat.db", websocket_path=PATH
    )
    commands = [to_bob("1"), to_bob(" "), to_bob("2"), ("fetch_history", {"to_user_id": "bob"})]
    with (
        serving_in_a_thread(create_socketio_app(settings=settings)) as base_url,
        connect(base_url.replace("http", "ws") + PATH) as ada,
    ):
        ada.send(json.dumps({"command": "connect", "payload": {"token": token("ada")}}))
        for number, (name, payload) in enumerate(commands):
            ada.send(json.dumps({"id": number, "command": name, "payload": payload}))
        answers: list[Any] = []
        while len(answers) < len(commands):
            frame = json.loads(ada.recv(timeout=60))
            if "id" in frame:
                answers.append(frame)

    assert [each["id"] for each in answers] == [0, 1, 2, 3]
    assert [each["ok"] for each in answers] == [True, False, True, True]
    assert [each["content"] for each in answers[3]["messages"]] == ["1", "2"]
