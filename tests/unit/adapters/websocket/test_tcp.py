"""The transport behind `receive`, also if middleware wraps it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message

from socketio_app.adapters.websocket.tcp import transport_behind

Receive = Callable[[], Awaitable[Message]]


class Transport:
    """Can be aborted, as all transports can."""

    def abort(self) -> None:
        raise AssertionError


class Protocol:
    """A server's protocol, whose method is the outermost `receive`."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    async def receive(self) -> Message:
        return {}


class Request:
    """Has a `receive`, and another connection that it does not read from."""

    def __init__(self, receive: Receive) -> None:
        self.database = Protocol(Transport()).receive
        self._receive = receive

    async def wrapped(self) -> Message:
        return await self._receive()


def in_function(receive: Receive) -> Receive:
    database = Protocol(Transport()).receive

    earlier_receive = database

    async def wrapped() -> Message:
        await database()
        await earlier_receive()  # noqa: F821
        return await receive()

    del earlier_receive
    return wrapped


def in_method(receive: Receive) -> Receive:
    return Request(receive).wrapped


@pytest.mark.parametrize(
    "wrap",
    [
        lambda receive: receive,
        in_function,
        in_method,
        lambda receive: in_function(in_method(in_function(receive))),
    ],
)
def test_transport_is_found(wrap: Callable[[Receive], Receive]) -> None:
    transport: Any = Transport()

    assert transport_behind(wrap(Protocol(transport).receive)) is transport


@pytest.mark.parametrize("transport", [None, object()])
def test_server_without_transport_is_accepted(transport: object) -> None:
    assert transport_behind(in_method(in_function(Protocol(transport).receive))) is None


def test_endless_wrapping_is_given_up() -> None:
    request = Request(Protocol(None).receive)
    request._receive = request.wrapped

    assert transport_behind(request.wrapped) is None


@pytest.mark.parametrize("receive", [None, len, print, object()])
def test_other_objects_are_accepted(receive: object) -> None:
    assert transport_behind(receive) is None
