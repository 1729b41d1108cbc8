"""Start-up with a dependency in a version that this package does not support."""

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
def clear_cache() -> Iterator[None]:
    """Clear cached findings about classes that a test changes."""
    compatibility.engine_problems.cache_clear()
    yield
    compatibility.engine_problems.cache_clear()


def test_locked_versions_take_websockets_over_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chosen = websocket_protocol()
    check_engine(engineio.AsyncServer)

    assert chosen is TakeoverProtocol
    assert http_protocol() is BoundedHttpProtocol
    assert caplog.messages == []


def test_missing_websocket_method_falls_back_to_uvicorn_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(WebSocketsSansIOProtocol, "stop_keepalive")

    assert websocket_protocol() == "auto"

    assert "stop_keepalive is missing" in caplog.text


def test_missing_http_method_falls_back_to_uvicorn_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(HttpToolsProtocol, "on_response_complete")

    assert http_protocol() == "auto"

    assert "on_response_complete is missing" in caplog.text


def test_method_with_other_parameters_falls_back_to_uvicorn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(WebSocketsSansIOProtocol, "handle_connect", lambda self: None)

    assert websocket_protocol() == "auto"

    assert "handle_connect has other parameters" in caplog.text


def test_attribute_that_is_no_longer_set_falls_back_to_uvicorn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, method in vars(WebSocketsSansIOProtocol).copy().items():
        if inspect.isfunction(method):
            signature = inspect.signature(method)
            without_body = lambda self: None  # noqa: E731
            without_body.__signature__ = signature  # type: ignore[attr-defined]
            monkeypatch.setattr(WebSocketsSansIOProtocol, name, without_body)

    assert websocket_protocol() == "auto"

    assert "handshake_complete is missing" in caplog.text


def test_missing_uvicorn_module_falls_back_to_uvicorn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, compatibility.UVICORN, None)

    assert websocket_protocol() == "auto"

    assert compatibility.UVICORN in caplog.text


def test_changed_engineio_logs_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(engineio.AsyncServer, "_make_response")

    check_engine(engineio.AsyncServer)

    assert "_make_response is missing" in caplog.text


def test_untested_uvicorn_serves_by_itself_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(compatibility.NEWEST_TESTED, "uvicorn", (0, 1))

    assert websocket_protocol() == "auto"

    assert "is newer than 0.1, the newest tested" in caplog.text


def test_untested_python_engineio_logs_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(compatibility.NEWEST_TESTED, "python-engineio", (4, 0))

    check_engine(engineio.AsyncServer)

    assert "is newer than 4.0, the newest tested" in caplog.text


@attrs.frozen
class Derived:
    """A class of this package, its base class, and the checked names of that base class."""

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
def test_every_used_name_of_a_base_class_is_checked_at_start_up(derived: Derived) -> None:
    classes = [each for each in derived.ours.__mro__ if each.__module__.startswith("socketio_app.")]
    ours = {name for each in classes for name in vars(each)}
    overridden = {name for name in ours if hasattr(derived.base, name)}
    found = [attributes_of_self(each) for each in classes]
    used = {name for each, _ in found for name in each}
    assigned = {name for _, each in found for name in each}

    unchecked = (overridden | (used - ours - assigned)) - {*derived.checked}

    assert {name for name in unchecked if not name.startswith("__")} == set()


def test_session_has_attributes_used_by_python_engineio() -> None:
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
    """Return the attributes of `self` or `super()` that a class reads, and those that it sets."""
    read, assigned = set(), set()
    for node in ast.walk(ast.parse(inspect.getsource(a_class))):
        match node:
            case ast.Attribute(ast.Name("self"), name, ast.Store()):
                assigned.add(name)
            case ast.Attribute(ast.Name("self") | ast.Call(ast.Name("super")), name):
                read.add(name)
    return read, assigned
