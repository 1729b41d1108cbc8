"""What operators find in the log, and what is never logged."""

import contextlib
import io
import json
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import jose.jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.logs import log_config
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient, Rejected, until
from tests.e2e.raw_client import raw_websocket
from tests.e2e.serving import serving, serving_in_a_thread
from tests.stores import HookedStore
from tests.tokens import SECRET, token

MARK = "q7Zx"
"""Part of every secret and every content that must not be logged."""

MESSAGE = {"to_user_id": "bob", "content": "Hello"}


@pytest.fixture(scope="module")
def log() -> Iterator[io.StringIO]:
    """Configure logging as the standalone server does; yield the output."""
    configured = log_config("debug", "json")
    names = ["", *configured["loggers"]]
    before = [(each, each.level, each.handlers[:]) for each in map(logging.getLogger, names)]
    written = io.StringIO()
    configured["handlers"]["stderr"]["stream"] = written
    logging.config.dictConfig(configured)
    yield written
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(autouse=True)
def empty_log(log: io.StringIO) -> None:
    log.seek(0)
    log.truncate()


def message_frame(content: str) -> str:
    """Return the packet of a message to Bob."""
    return "421" + json.dumps(["send_personal_message", {**MESSAGE, "content": content}])


def events(log: io.StringIO, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == event]


def chat_with_errors() -> Composition:
    """Return a chat whose store raises errors that contain its arguments."""

    async def raise_error(call: str) -> None:
        if call == "append":
            raise RuntimeError(f"error with {MARK}")

    return compose(Settings(secret_key=SECRET, rate_limits=False), store=HookedStore(raise_error))


@pytest.mark.anyio
async def test_connection_logs_two_lines_with_user_duration_and_reason(
    log: io.StringIO,
) -> None:
    async with serving(application(chat_with_errors())) as url:
        ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        connection = (await until(ada, "connected"))["connection_id"]
        await ada.close()

    (connected,) = events(log, "connected")
    (disconnected,) = events(log, "disconnected")
    assert (connected["user"], connected["connection"]) == ("ada", connection)
    assert (disconnected["user"], disconnected["connection"]) == ("ada", connection)
    # The client sends the disconnect packet and closes the WebSocket at the same time.
    assert disconnected["reason"] in {"client_disconnect", "transport_close"}
    assert 0 <= disconnected["duration"] < 60


@pytest.mark.anyio
async def test_rejected_connection_logs_one_line(log: io.StringIO) -> None:
    async with serving(application(chat_with_errors())) as url:
        with pytest.raises(Rejected):
            await PythonClient().open(url, "websocket", {"auth": {"token": MARK}})

    (rejected,) = events(log, "connection rejected")
    assert rejected["code"] == "unauthenticated"
    assert rejected["level"] == "warning"
    assert rejected["reason"] == "the token is not a well-formed JSON Web Token"
    assert rejected["address"] == "127.0.0.1"
    assert not events(log, "connected")
    assert not events(log, "disconnected")


@pytest.mark.anyio
async def test_client_that_repeats_its_rejected_token_logs_one_warning(log: io.StringIO) -> None:
    async with serving(application(chat_with_errors())) as url:
        for _ in range(3):
            with pytest.raises(Rejected):
                await PythonClient().open(url, "websocket", {"auth": {"token": MARK}})

    rejections = events(log, "connection rejected")
    assert [line["level"] for line in rejections] == ["warning", "info", "info"]


@pytest.mark.anyio
async def test_reason_for_a_rejected_token_is_logged_and_never_sent(log: io.StringIO) -> None:
    future = int(time.time()) + 3600
    claims = {"sub": "ada", "exp": future + 60, "iat": future}
    auth = {"token": jose.jwt.encode(claims, SECRET, "HS256")}
    async with serving(application(chat_with_errors())) as url:
        with pytest.raises(Rejected) as answer:
            await PythonClient().open(url, "websocket", {"auth": auth})

    (rejected,) = events(log, "connection rejected")
    assert "iat is 3.6e+03 s in the future" in rejected["reason"]
    assert "iat" not in str(answer.value)


@pytest.mark.anyio
async def test_rejected_token_refresh_logs_one_line_with_its_user_and_reason(
    log: io.StringIO,
) -> None:
    async with serving(application(chat_with_errors())) as url:
        ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        await ada.call("refresh_token", {"token": token("bob")})
        await ada.close()

    (rejected,) = events(log, "token refresh rejected")
    assert (rejected["user"], rejected["reason"]) == ("ada", "the token belongs to another user")
    assert (rejected["level"], rejected["address"]) == ("warning", "127.0.0.1")


@pytest.mark.anyio
async def test_internal_error_logs_one_line_with_the_id_sent_to_the_client(
    log: io.StringIO,
) -> None:
    async with serving(application(chat_with_errors())) as url:
        ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        answer = await ada.call("send_personal_message", MESSAGE)
        await ada.close()

    (error_id,) = re.findall(r"[0-9a-f]{12}", answer["error"]["message"])
    (error,) = events(log, f"internal error {error_id} in send_personal_message")
    assert error["error_id"] == error_id
    assert (error["user"], error["command"]) == ("ada", "send_personal_message")
    assert error["duration"] >= 0
    assert "RuntimeError" in error["exception"]


@pytest.fixture(scope="module")
def url(log: io.StringIO) -> Iterator[str]:
    with serving_in_a_thread(application(chat_with_errors())) as base_url:
        yield base_url


@settings(max_examples=25, deadline=None)
@given(
    frame=st.one_of(
        st.builds(lambda text: MARK + text, st.text()),
        st.builds(
            lambda prefix, name, key, text: f"{prefix}{json.dumps([name, {key: MARK + text}])}",
            st.sampled_from(["42", "421", "451-", "42/x,", "4", "45"]),
            st.sampled_from(["send_personal_message", "join_room", MARK]),
            st.sampled_from(["content", "room_id", MARK]),
            st.text(),
        ),
        st.builds(lambda text: message_frame(MARK + text), st.text()),
        st.builds(lambda data: MARK.encode() + data, st.binary()),
    )
)
def test_content_sent_by_clients_is_not_logged(
    url: str, log: io.StringIO, frame: str | bytes
) -> None:
    with raw_websocket(url, "ada") as ada:
        with contextlib.suppress(ConnectionClosed):  # the server may have closed the connection
            ada.send(frame)
            ada.send('422["settle",{}]')
            ada.send("1")
        assert ada.is_closed_by_server()

    assert events(log, "connected")
    assert MARK not in log.getvalue()
    assert token("ada").rpartition(".")[2] not in log.getvalue()
    assert SECRET not in log.getvalue()
