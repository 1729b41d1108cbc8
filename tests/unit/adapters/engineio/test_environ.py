"""Conversion of ASGI requests for python-engineio."""

from typing import Any

import pytest
from starlette.types import Message

from socketio_app.adapters.engineio.environ import (
    MAX_HEADERS,
    MAX_QUERY_BYTES,
    BodyTooLongError,
    build_environ,
    request_problem,
)

pytestmark = pytest.mark.anyio


async def environ(*messages: Message, **scope: Any) -> dict[str, Any] | None:
    coming = iter(messages)

    async def receive() -> Message:
        return next(coming)

    async def send(_message: Message) -> None:
        raise AssertionError

    whole = {"type": "http", "scheme": "http", "path": "/", "query_string": b"", "headers": []}
    return await build_environ({**whole, **scope}, receive, send)


@pytest.mark.parametrize(
    ("scheme", "expected"), [("http", "http"), ("https", "https"), ("ws", "http"), ("wss", "https")]
)
async def test_scheme_is_the_servers(scheme: str, expected: str) -> None:
    found = await environ({"type": "http.request"}, scheme=scheme)

    assert found is not None
    assert found["wsgi.url_scheme"] == expected


@pytest.mark.parametrize("optional", [{}, {"query_string": None, "extensions": None}])
async def test_optional_asgi_keys_can_be_missing(optional: dict[str, Any]) -> None:
    scope = {"type": "websocket", "path": "/", "headers": [], **optional}

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(_message: Message) -> None:
        raise AssertionError

    found = await build_environ(scope, receive, send)

    assert found is not None
    assert found["wsgi.url_scheme"] == "http"
    assert found["QUERY_STRING"] == ""


async def test_scheme_is_taken_from_proxy_header() -> None:
    headers = [(b"x-forwarded-proto", b"https")]
    found = await environ({"type": "http.request"}, headers=headers)

    assert found is not None
    assert found["wsgi.url_scheme"] == "https"


async def test_repeated_header_is_joined() -> None:
    headers = [(b"x-forwarded-for", b"1"), (b"x-forwarded-for", b"2")]
    found = await environ({"type": "http.request"}, headers=headers)

    assert found is not None
    assert found["HTTP_X_FORWARDED_FOR"] == "1,2"


async def test_disconnected_client_has_no_request() -> None:
    assert await environ({"type": "http.disconnect"}) is None


async def test_body_is_read_completely() -> None:
    found = await environ(
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b"},
    )

    assert found is not None
    assert await found["wsgi.input"].read(2) == b"ab"


async def test_body_is_read_up_to_limit() -> None:
    found = await environ(
        {"type": "http.request", "body": b"abc", "more_body": True},
    )

    assert found is not None
    with pytest.raises(BodyTooLongError):
        await found["wsgi.input"].read(2)


async def test_incomplete_body_is_none() -> None:
    found = await environ(
        {"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}
    )

    assert found is not None
    assert await found["wsgi.input"].read(2) is None


@pytest.mark.parametrize(
    "scope",
    [
        {"headers": [(b"a", b"b")] * (MAX_HEADERS + 1)},
        {"query_string": b"EIO=4&transport=polling&" + b"x" * MAX_QUERY_BYTES},
    ],
    ids=["headers", "query"],
)
async def test_expensive_request_head_is_rejected(scope: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"query_string": b"EIO=4&transport=polling"}
    found = await environ({"type": "http.request"}, **{**asked, **scope})

    assert found is not None
    assert found["QUERY_STRING"] == "" or len(found["HTTP_A"]) <= 2 * MAX_HEADERS
    assert request_problem(found) == "Too many headers, or query string too long"


async def test_ordinary_request_heads_are_accepted() -> None:
    found = await environ(
        {"type": "http.request"},
        query_string=b"EIO=4&transport=polling&token=" + b"x" * 4000,
        headers=[(b"a", b"b")] * MAX_HEADERS,
    )

    assert found is not None
    assert request_problem(found) is None
