"""What happens at start-up where a dependency is not what this package was built on."""

import ast
import inspect
import sys
from collections.abc import Collection, Iterator
from textwrap import dedent

import attrs
import engineio
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from socketio_app.adapters import compatibility
from socketio_app.adapters.compatibility import (
    check_engine,
    http_protocol,
    websocket_protocol,
)
from socketio_app.adapters.engineio.server import EngineServer
from socketio_app.adapters.engineio.session import EngineSession
from socketio_app.adapters.websocket.uvicorn_http_protocol import BoundedHttpProtocol
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Forget what was found of classes that a test changes."""
    compatibility.engine_problems.cache_clear()
    yield
    compatibility.engine_problems.cache_clear()


def test_with_what_is_locked_websockets_are_taken_over_and_nothing_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chosen = websocket_protocol()
    check_engine(engineio.AsyncServer)

    assert chosen is TakeoverProtocol
    assert http_protocol() is BoundedHttpProtocol
    assert caplog.messages == []


def test_without_a_method_that_is_needed_uvicorns_own_protocol_serves_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(WebSocketsSansIOProtocol, "stop_keepalive")

    assert websocket_protocol() == "auto"

    assert "stop_keepalive is gone" in caplog.text


def test_without_a_method_that_is_needed_uvicorns_own_http_serves_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(HttpToolsProtocol, "on_response_complete")

    assert http_protocol() == "auto"

    assert "on_response_complete is gone" in caplog.text


def test_a_method_with_other_arguments_counts_as_changed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(WebSocketsSansIOProtocol, "handle_connect", lambda self: None)

    assert websocket_protocol() == "auto"

    assert "handle_connect takes other arguments" in caplog.text


def test_an_attribute_that_is_no_longer_set_counts_as_changed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, method in vars(WebSocketsSansIOProtocol).copy().items():
        if inspect.isfunction(method):
            signature = inspect.signature(method)
            without_body = lambda self: None  # noqa: E731
            without_body.__signature__ = signature  # type: ignore[attr-defined]
            monkeypatch.setattr(WebSocketsSansIOProtocol, name, without_body)

    assert websocket_protocol() == "auto"

    assert "handshake_complete is gone" in caplog.text


def test_where_the_module_has_moved_uvicorns_own_protocol_serves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, compatibility.UVICORN, None)

    assert websocket_protocol() == "auto"

    assert compatibility.UVICORN in caplog.text


def test_an_engine_that_has_changed_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(engineio.AsyncServer, "_make_response")

    check_engine(engineio.AsyncServer)

    assert "_make_response is gone" in caplog.text


def test_a_newer_uvicorn_than_was_tested_serves_by_itself_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(compatibility.NEWEST_TESTED, "uvicorn", (0, 1))

    assert websocket_protocol() == "auto"

    assert "is newer than 0.1, the newest tested" in caplog.text


def test_a_newer_python_engineio_than_was_tested_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(compatibility.NEWEST_TESTED, "python-engineio", (4, 0))

    check_engine(engineio.AsyncServer)

    assert "is newer than 4.0, the newest tested" in caplog.text


@attrs.frozen
class Derived:
    """A class of this package, its base, and the base's names that are checked."""

    ours: type
    base: type
    checked: Collection[str]


DERIVED = [
    Derived(
        EngineServer,
        engineio.AsyncServer,
        [*compatibility.ENGINE_METHODS, *compatibility.ENGINE_ATTRIBUTES],
    ),
    Derived(
        TakeoverProtocol,
        WebSocketsSansIOProtocol,
        [*compatibility.WEBSOCKET_METHODS, *compatibility.WEBSOCKET_ATTRIBUTES],
    ),
]


@pytest.mark.parametrize("derived", DERIVED, ids=lambda derived: derived.ours.__name__)
def test_every_name_of_the_base_class_that_is_used_is_checked_at_start_up(derived: Derived) -> None:
    overridden = {name for name in vars(derived.ours) if hasattr(derived.base, name)}
    ours = {*vars(derived.ours), *inspect.get_annotations(derived.ours)}
    used, assigned = attributes_of_self(derived.ours)

    unchecked = (overridden | (used - ours - assigned)) - {*derived.checked}

    assert {name for name in unchecked if not name.startswith("__")} == set()


def test_a_session_has_what_python_engineio_asks_of_it() -> None:
    asked = {
        node.attr
        for node in ast.walk(
            ast.parse(dedent(inspect.getsource(engineio.AsyncServer.handle_request)))
        )
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "socket"
    }

    assert asked
    assert asked <= {*dir(EngineSession)}


def attributes_of_self(a_class: type) -> tuple[set[str], set[str]]:
    """The attributes of `self` or `super()` that a class reads, and those that it sets."""
    read, assigned = set(), set()
    for node in ast.walk(ast.parse(inspect.getsource(a_class))):
        match node:
            case ast.Attribute(ast.Name("self"), name, ast.Store()):
                assigned.add(name)
            case ast.Attribute(ast.Name("self") | ast.Call(ast.Name("super")), name):
                read.add(name)
    return read, assigned
